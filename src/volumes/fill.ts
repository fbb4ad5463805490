import { existsSync } from "node:fs";
import { chmod, chown, lstat, readdir, rename, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { copyTree, removeTree, type Workers } from "../host/mod.ts";

/**
 * The first-use copy of an image's directory into an empty volume.
 *
 * The volume's directory may be mounted already, so it cannot be replaced by a finished copy; its entries come one by
 * one. A crash must not leave a volume that is half full and thus never filled again: the copy is made beside it
 * (`copy`), renamed when complete (`ready`), and moved from there; `finish` completes a move that was interrupted.
 */
export interface FillPaths {
  readonly data: string;
  readonly copy: string;
  readonly ready: string;
}

export function fillPaths(volume: string): FillPaths {
  return { data: join(volume, "_data"), copy: join(volume, "copy"), ready: join(volume, "ready") };
}

/** Nothing happens when the volume is not empty or `source` is not a directory. */
export async function fill(paths: FillPaths, source: string, workers: Workers): Promise<void> {
  await finish(paths, workers);
  if ((await readdir(paths.data)).length > 0) return;
  const found = await lstat(source).catch(() => undefined);
  if (!found?.isDirectory()) return;
  await workers.run(copyTree, { from: source, to: paths.copy });
  await rename(paths.copy, paths.ready);
  await finish(paths, workers);
}

/**
 * The same for a volume that something is mounted on: nothing outside can be renamed into it, and nothing inside is safe
 * from those who share the device, so the files are copied in place. A copy that a crash cut short stays as far as it got.
 */
export async function fillMounted(data: string, source: string, workers: Workers): Promise<void> {
  if ((await readdir(data)).length > 0) return;
  const found = await lstat(source).catch(() => undefined);
  if (found?.isDirectory()) await workers.run(copyTree, { from: source, to: data }, { waits: true });
}

/** Rolls forward what was complete, throws away what was not. */
export async function finish({ data, copy, ready }: FillPaths, workers: Workers): Promise<void> {
  if (existsSync(copy)) await workers.run(removeTree, { path: copy });
  if (!existsSync(ready)) return;
  const like = await stat(ready);
  for (const name of await readdir(ready, { encoding: "buffer" })) {
    const [from, to] = [inside(ready, name), inside(data, name)];
    // Somebody who holds the volume may have made it meanwhile: what was written into a volume is never replaced.
    if (!(await exists(to))) await rename(from, to);
  }
  await chown(data, like.uid, like.gid);
  await chmod(data, like.mode & 0o7777);
  await utimes(data, like.atime, like.mtime);
  await workers.run(removeTree, { path: ready });
}

/** Names need not be UTF-8. */
function inside(directory: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), name]);
}

async function exists(path: Buffer): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}
