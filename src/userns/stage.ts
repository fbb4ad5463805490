import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type IdMap, type Mounts, outsideId } from "../host/mod.ts";
import type { MappedTree, StagedMount, UserNamespaces } from "./userns.ts";

export interface StageParts {
  readonly mounts: Mounts;
  readonly show: UserNamespaces["show"];
}

/** The host's ids of a namespace's root. */
export function rootOf({ uids, gids }: IdMap): { readonly uid: number; readonly gid: number } {
  return { uid: outsideId(uids, 0) ?? 0, gid: outsideId(gids, 0) ?? 0 };
}

export async function mountMapped({ mounts, show }: StageParts, tree: MappedTree): Promise<void> {
  const { staged, target, map, through } = tree;
  const at = join(staged, "layers");
  await mkdir(at, { recursive: true, mode: 0o700 });
  await openTo(map, [...through, staged]);
  await show(tree.source, at, map);
  for (const mount of await tree.mounts(at)) mounts.mount(mount, target);
}

export async function stage<M extends StagedMount>(
  parts: StageParts,
  wanted: readonly M[],
  { staged, map }: { readonly staged: string; readonly map: IdMap },
): Promise<M[]> {
  const moved: M[] = [];
  for (const [number, mount] of wanted.entries()) {
    const target = join(staged, String(number));
    moved.push(mount.type === "bind" ? { ...mount, source: await bindAt(parts, mount, { target, map }) } : mount);
  }
  return moved;
}

async function bindAt(
  { mounts, show }: StageParts,
  { source, owned }: StagedMount,
  { target, map }: { readonly target: string; readonly map: IdMap },
): Promise<string> {
  if ((await stat(source)).isDirectory()) await mkdir(target, { mode: 0o700 });
  else await writeFile(target, "", { mode: 0o600 });
  if (owned) await show(source, target, map);
  else mounts.mount({ type: "bind", source, options: ["rbind"] }, target);
  return target;
}

export async function unstage({ mounts }: Pick<StageParts, "mounts">, staged: string): Promise<void> {
  if (!existsSync(staged)) return;
  for (const name of await readdir(staged)) release(mounts, join(staged, name));
  await rm(staged, { recursive: true, force: true });
}

/** Private first: unmounting what shares its mounts with the host's would unmount them there, too. */
function release(mounts: Mounts, target: string): void {
  if (!mounts.list().some((mount) => mount.target === target)) return;
  mounts.mount({ type: "", source: "none", options: ["rprivate"] }, target);
  mounts.unmount(target, "detach");
}

/** Lets a namespace's root through, and nobody else: there are programs with set-user-id below. */
async function openTo(map: IdMap, directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    await chown(directory, 0, rootOf(map).gid);
    await chmod(directory, 0o710);
  }
}
