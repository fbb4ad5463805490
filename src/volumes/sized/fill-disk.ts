import { lstat } from "node:fs/promises";
import { isKind } from "../../errors/mod.ts";
import { copyTree } from "../../host/mod.ts";
import { importInto } from "../moving/import.ts";
import type { VolumeParts } from "../parts.ts";
import type { VolumeRow } from "../table.ts";

/**
 * The first-use copy of an image's directory into an empty disk: into another one, which then takes its place, so that a crash
 * leaves the empty one, to be filled again. False, with nothing done, for one that is not empty or is in use.
 */
export async function fillDisk(parts: VolumeParts, row: VolumeRow, source: string): Promise<boolean> {
  const found = await lstat(source).catch(() => undefined);
  if (!found?.isDirectory()) return true;
  const unpack = (to: string) => parts.mounters.run(copyTree, { from: source, to }, { waits: true });
  try {
    await importInto(parts, row, { force: false, unpack });
    return true;
  } catch (err) {
    if (isKind(err, "conflict")) return false;
    throw err;
  }
}
