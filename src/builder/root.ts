import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isKind } from "../errors/mod.ts";
import type { BuilderContext } from "./context.ts";

/** A snapshot being written, mounted. */
export interface BuildRoot extends AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  /** For other things that belong to the step; deleted with it. */
  readonly directory: string;
  readonly id: string;
  /** The layer's own files, as overlayfs keeps them; to be touched after `unmount` only. */
  readonly upper: string;
  unmount(): void;
  /** Makes it a committed snapshot and returns its name. Unmounts first. */
  commit(): Promise<string>;
}

export const activePrefix = "building/";
const donePrefix = "build/";

/** Prepares a snapshot on `parent` and mounts it. Disposing one that was not committed leaves nothing. */
export async function openRoot(context: BuilderContext, parent: string | undefined): Promise<BuildRoot> {
  const id = randomBytes(12).toString("hex");
  const key = `${activePrefix}${id}`;
  const directory = join(context.config.directory, "work", id);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, "rootfs");
  await mkdir(path, { recursive: true, mode: 0o700 });
  const mounts = await context.snapshots.prepare(key, parent);
  undo.defer(() => removeActive(context, key));
  let mounted = false;
  const unmount = () => {
    if (mounted) context.host.mounts.unmount(path, "detach");
    mounted = false;
  };
  undo.defer(unmount);
  for (const mount of mounts) context.host.mounts.mount(mount, path);
  mounted = true;
  const upper = context.snapshots.directory(key);
  const commit = async () => {
    unmount();
    const name = `${donePrefix}${id}`;
    await context.snapshots.commit(name, key);
    return name;
  };
  const owned = undo.move();
  return { path, directory, id, upper, unmount, commit, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function removeActive(context: BuilderContext, key: string): Promise<void> {
  if (context.snapshots.info(key)?.state !== "active") return;
  try {
    await context.snapshots.remove(key);
  } catch (err) {
    if (!isKind(err, "not-found")) throw err;
  }
}
