import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../host/mod.ts";
import { fillPaths, finish } from "./fill.ts";
import { isMounted, needsMount } from "./mounts/options.ts";
import { dropUnfinished } from "./moving/fill-new.ts";
import { finishRename } from "./moving/rename.ts";
import { finishReplacing, replacePaths } from "./moving/replace.ts";
import type { VolumeParts } from "./parts.ts";
import { limitOf } from "./sized/size.ts";
import { dropJobHolders, findVolume, listVolumes, type VolumeRow } from "./table.ts";

/** Directories are listed first and each is looked up under its lock, so this is safe at any time. */
export async function sweep(parts: VolumeParts): Promise<void> {
  parts.db.write(dropJobHolders);
  await finishRenames(parts);
  const names = await readdir(parts.root);
  for (const name of names) await parts.lock.run(name, () => sweepDirectory(parts, name));
  const known = new Set(names);
  const missing = parts.db.read(listVolumes).filter(({ name }) => !known.has(name));
  for (const { name } of missing) await parts.lock.run(name, () => sweepRow(parts, name));
}

async function finishRenames(parts: VolumeParts): Promise<void> {
  for (const { name, movedFrom } of parts.db.read(listVolumes)) {
    if (movedFrom !== "") await parts.lock.run(name, () => finishRename(parts, { from: movedFrom, to: name }));
  }
}

async function sweepDirectory(parts: VolumeParts, name: string): Promise<void> {
  const row = parts.db.read((q) => findVolume(q, name));
  const home = join(parts.root, name);
  if (!row) {
    // What cannot be deleted now (an immutable file, say) is no reason not to start; it is tried again at the next sweep.
    await parts.mounts.clear(name);
    await parts.workers.run(removeTree, { path: home }).catch(() => undefined);
    return;
  }
  if (row.state === "making") {
    if (!parts.making.has(name)) await dropUnfinished(parts, name);
    return;
  }
  if (isMounted(row.options)) return; // its server may not answer now
  if (needsMount(row.options)) await parts.mounts.clearBeside(name);
  await finishReplacing(replacePaths(home), parts.workers);
  await restoreDirectory(parts, row);
  if (!needsMount(row.options)) await finish(fillPaths(home), parts.workers);
}

async function sweepRow(parts: VolumeParts, name: string): Promise<void> {
  const row = parts.db.read((q) => findVolume(q, name));
  if (row?.state === "ready") await restoreDirectory(parts, row);
  else if (row && !parts.making.has(name)) await dropUnfinished(parts, name);
}

/** A disk that cannot be made now (no mkfs.ext4, no loop device) is no reason not to start; who uses the volume is told. */
async function restoreDirectory(parts: VolumeParts, row: VolumeRow): Promise<void> {
  await parts.makeDirectory(row).catch((err: unknown) => {
    if (limitOf(row.options) === 0) throw err;
  });
}
