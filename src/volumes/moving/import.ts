import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { removeTree } from "../../host/mod.ts";
import { isMounted } from "../mounts/options.ts";
import type { VolumeParts } from "../parts.ts";
import { findVolume, type VolumeRow } from "../table.ts";
import { replaceBy, replacePaths, stage } from "./replace.ts";

/** Puts files into a directory that is there. */
export type Unpack = (directory: string) => Promise<void>;

export interface ImportOptions {
  /** What the volume has is replaced; without it such a volume is refused. */
  readonly force: boolean;
  readonly unpack: Unpack;
}

/**
 * Files for a volume that is there, held by the caller. They are unpacked beside what it has, for as long as their sender
 * takes, and then take its place at once.
 */
export async function importInto(parts: VolumeParts, row: VolumeRow, options: ImportOptions): Promise<void> {
  const paths = replacePaths(join(parts.root, row.name));
  await parts.lock.run(row.name, () => requireFree(parts, row, options));
  const staged = await stage(paths);
  try {
    await options.unpack(staged);
    await parts.lock.run(row.name, async () => {
      await requireFree(parts, row, options);
      await replaceBy(paths, staged, parts.workers);
    });
  } finally {
    if (existsSync(staged)) await parts.workers.run(removeTree, { path: staged });
  }
}

/** The same where something is mounted: its files go where they stay, and only where nothing is yet. */
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
  const users = parts.mounts.usersOf(row.name);
  if (users.length > 0) {
    throw new EngineError(
      "conflict",
      `import ${row.name}: volume is in use by running containers - [${users.join(", ")}]`,
    );
  }
  const { data } = replacePaths(join(parts.root, row.name));
  if (force || (await readdir(data)).length === 0) return;
  throw new EngineError("conflict", `import ${row.name}: volume is not empty; use --force to replace what it has`);
}
