import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { removeTree } from "../../host/mod.ts";
import type { VolumeParts } from "../parts.ts";
import { deleteVolume, findVolume, insertVolume, markReady, type VolumeRow } from "../table.ts";

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
    await parts.makeDirectory(row.name);
    await fill(join(parts.root, row.name, "_data"));
  } catch (err) {
    await dropUnfinished(parts, row.name);
    throw err;
  }
  parts.db.write((tx) => markReady(tx, row.name));
}

export async function dropUnfinished(parts: VolumeParts, name: string): Promise<void> {
  parts.db.write((tx) => deleteVolume(tx, name));
  await parts.workers.run(removeTree, { path: join(parts.root, name) });
}
