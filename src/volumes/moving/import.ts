import { existsSync } from "node:fs";
import { mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { mountDisk, removeTree, unmountAside } from "../../host/mod.ts";
import { isMounted, needsMount } from "../mounts/options.ts";
import type { VolumeParts } from "../parts.ts";
import { diskPaths, makeDisk } from "../sized/disk.ts";
import { limitOf } from "../sized/size.ts";
import { findVolume, type VolumeRow } from "../table.ts";
import { type ReplacePaths, replaceBy, replacePaths, stage } from "./replace.ts";

/** Puts files into a directory that is there. */
export type Unpack = (directory: string) => Promise<void>;

export interface ImportOptions {
  /** What the volume has is replaced; without it such a volume is refused. */
  readonly force: boolean;
  readonly unpack: Unpack;
}

/** Looks into a disk before it is replaced; no container has such an id. */
const importer = "import";

/**
 * Files for a volume that is there, held by the caller. They are unpacked beside what the volume has, for as long as their sender takes, and then take its place at once.
 */
export async function importInto(parts: VolumeParts, row: VolumeRow, options: ImportOptions): Promise<void> {
  const paths = replacePaths(join(parts.root, row.name));
  await parts.lock.run(row.name, () => requireFree(parts, row, options));
  const staged = await stage(paths);
  try {
    if (needsMount(row.options)) await unpackToDisk(parts, { home: staged, row }, options.unpack);
    else await options.unpack(staged);
    await parts.lock.run(row.name, async () => {
      await requireFree(parts, row, options);
      await publish(parts, { row, paths, staged });
    });
  } finally {
    if (existsSync(staged)) await parts.workers.run(removeTree, { path: staged });
  }
}

interface Staged {
  readonly row: VolumeRow;
  readonly paths: ReplacePaths;
  readonly staged: string;
}

async function publish(parts: VolumeParts, { row, paths, staged }: Staged): Promise<void> {
  if (needsMount(row.options)) await rename(diskPaths(staged).disk, diskPaths(paths.home).disk);
  else await replaceBy(paths, staged, parts.workers);
}

/** A disk with the same limit, in a directory of its own. */
async function unpackToDisk(
  parts: VolumeParts,
  { home, row }: { home: string; row: VolumeRow },
  unpack: Unpack,
): Promise<void> {
  const { disk, data } = diskPaths(home);
  const limit = limitOf(row.options);
  await mkdir(data, { mode: 0o755 });
  await makeDisk(home, limit, { processes: parts.processes, workers: parts.mounters });
  await parts.mounters.run(mountDisk, { image: disk, target: data, limit }, { waits: true });
  try {
    await unpack(data);
  } finally {
    await parts.mounters.run(unmountAside, { target: data }, { waits: true });
  }
}

/** The same where something of somebody else's is mounted: its files go where they stay, and only where nothing is yet. */
export async function importMounted(data: string, name: string, { unpack, force }: ImportOptions): Promise<void> {
  if ((await readdir(data)).some((entry) => entry !== "lost+found")) {
    const advice = force ? "; what has driver options is not emptied by --force" : "";
    throw new EngineError("conflict", `import ${name}: volume is not empty${advice}`);
  }
  await unpack(data);
}

async function requireFree(parts: VolumeParts, row: VolumeRow, { force }: ImportOptions): Promise<void> {
  const there = parts.db.read((q) => findVolume(q, row.name));
  if (!there || isMounted(there.options)) throw new EngineError("not-found", `get ${row.name}: no such volume`);
  if (there.options["size"] !== row.options["size"]) {
    throw new EngineError("conflict", `import ${row.name}: volume was resized meanwhile`);
  }
  const users = parts.mounts.usersOf(row.name);
  if (users.length > 0) {
    throw new EngineError(
      "conflict",
      `import ${row.name}: volume is in use by running containers - [${users.join(", ")}]`,
    );
  }
  if (force || (await isEmpty(parts, row))) return;
  throw new EngineError("conflict", `import ${row.name}: volume is not empty; use --force to replace what it has`);
}

async function isEmpty(parts: VolumeParts, row: VolumeRow): Promise<boolean> {
  await parts.mounts.use(row, importer);
  try {
    return (await readdir(replacePaths(join(parts.root, row.name)).data)).length === 0;
  } finally {
    await parts.mounts.leave(row.name, importer);
  }
}
