import type { FilesystemChange } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { snapshotKey } from "./paths.ts";
import { resolve } from "./refs.ts";
import type { Row } from "./table.ts";

type Change = Awaited<ReturnType<Context["layers"]["changes"]>>[number];
const kinds = { modified: 0, added: 1, deleted: 2 } as const;

/** Where the runtime and the engine mount things, whose empty places are in the container's layer. */
const engineMounts = [
  ...["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/.dockerenv"],
  ...["/dev", "/proc", "/sys", "/sbin/docker-init"],
];

/** What the container changed against its image, without the places that were made for mounts. */
export async function changes(ctx: Context, ref: string): Promise<FilesystemChange[]> {
  const row = resolve(ctx.table, ref);
  const all = await ctx.layers.changes(snapshotKey(row.id));
  return withoutMounts(all, mountPlaces(row)).map(({ path, kind }) => ({ Path: path, Kind: kinds[kind] }));
}

export function mountPlaces(row: Pick<Row, "mounts">): ReadonlySet<string> {
  return new Set([...engineMounts, ...row.mounts.map((entry) => entry.destination)]);
}

/**
 * Drops mount points and what lies below them, and then the directories that changed for nothing but them: an ancestor of a
 * dropped place that has no other change below it.
 */
export function withoutMounts(all: readonly Change[], places: ReadonlySet<string>): Change[] {
  const isPlace = ({ path }: Change) => ancestors(path).some((at) => places.has(at));
  const dropped = all.filter(isPlace);
  const kept = all.filter((change) => !isPlace(change));
  const above = new Set(dropped.flatMap(({ path }) => ancestors(path).slice(1)));
  const needed = new Set<string>();
  const deepestFirst = kept.toSorted((a, b) => b.path.split("/").length - a.path.split("/").length);
  for (const { path } of deepestFirst) {
    if (above.has(path) && !needed.has(path)) continue;
    for (const at of ancestors(path)) needed.add(at);
  }
  return kept.filter(({ path }) => needed.has(path));
}

/** The path and all directories above it but the root, deepest first. */
function ancestors(path: string): string[] {
  const found: string[] = [];
  for (let at = path; at.length > 1; at = at.slice(0, at.lastIndexOf("/"))) found.push(at);
  return found;
}
