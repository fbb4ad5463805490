import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { removeTree } from "../../host/mod.ts";
import { needsMount } from "../mounts/options.ts";
import type { VolumeParts } from "../parts.ts";
import { deleteVolume, findVolume, insertVolume, markReady, type VolumeRow } from "../table.ts";

/** Uses a volume's mount while its first files are put in; no container has such an id. */
const filler = "filler";

/**
 * Makes a volume that nobody sees before `fill` has put its files into its directory. Of one that could not be filled
 * nothing is left; `sweep` sees to that after a crash. No lock is held: the row keeps the name from others.
 */
export async function makeFilled(
  parts: VolumeParts,
  row: VolumeRow,
  fill: (data: string) => Promise<void>,
): Promise<void> {
  parts.making.add(row.name);
  try {
    await fillRow(parts, row, fill);
  } finally {
    parts.making.delete(row.name);
  }
  parts.events.publish({ type: "volume", action: "create", id: row.name, attributes: { driver: row.driver } });
}

async function fillRow(parts: VolumeParts, row: VolumeRow, fill: (data: string) => Promise<void>): Promise<void> {
  parts.db.write((tx) => {
    if (findVolume(tx, row.name)) {
      throw new EngineError("conflict", `create ${row.name}: conflict: volume name must be unique: it exists`);
    }
    insertVolume(tx, { ...row, state: "making" });
  });
  try {
    await parts.makeDirectory(row);
    await fillMounted(parts, row, () => fill(join(parts.root, row.name, "_data")));
  } catch (err) {
    await dropUnfinished(parts, row.name);
    throw err;
  }
  parts.db.write((tx) => markReady(tx, row.name));
}

/** Nobody else can use it yet. */
async function fillMounted(parts: VolumeParts, row: VolumeRow, fill: () => Promise<void>): Promise<void> {
  if (!needsMount(row.options)) return fill();
  await parts.mounts.use(row, filler);
  try {
    await fill();
  } finally {
    await parts.mounts.leave(row.name, filler);
  }
}

/** Of one that could not be made nothing is left, nor of one that a crash cut short. */
export async function dropUnfinished(parts: VolumeParts, name: string): Promise<void> {
  parts.db.write((tx) => deleteVolume(tx, name));
  await parts.mounts.clear(name);
  await parts.workers.run(removeTree, { path: join(parts.root, name) });
}
