import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { Tx } from "../../db/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { removeTree } from "../../host/mod.ts";
import type { VolumeParts } from "../parts.ts";
import { namedOnPurpose, requireName } from "../request.ts";
import { findVolume, holdersOf, jobHolder, markReady, renameVolume, requireVolume } from "../table.ts";

export interface Renaming {
  readonly from: string;
  readonly to: string;
}

/** What else names the volume, to be changed in the same transaction; asked again the other way round when the rename fails. */
export type AlsoRename = (renaming: Renaming, tx: Tx) => void;

/**
 * The name changes in one transaction, which also says what the directory is still called; the directory follows, and
 * `finishRename` lets it follow after a crash. Who gives a name means to keep: an anonymous volume is none any more.
 */
export async function renameLocked(parts: VolumeParts, names: Renaming, also: AlsoRename): Promise<void> {
  const { from, to } = names;
  requireName("rename", to);
  const row = parts.db.read((q) => requireVolume(q, from));
  refuseUsed(parts, from);
  if (parts.db.read((q) => findVolume(q, to))) {
    throw new EngineError("conflict", `rename ${from}: a volume named ${to} exists already`);
  }
  await clearWay(parts, to);
  parts.db.write((tx) => {
    renameVolume(tx, namedOnPurpose(row), to);
    also(names, tx);
  });
  try {
    await finishRename(parts, names);
  } catch (err) {
    parts.db.write((tx) => {
      const { labels, anonymous } = row;
      renameVolume(tx, { ...requireVolume(tx, to), labels, anonymous, movedFrom: "" }, from);
      markReady(tx, from);
      also({ from: to, to: from }, tx);
    });
    throw err;
  }
  parts.events.publish({ type: "volume", action: "rename", id: to, attributes: { driver: row.driver, oldName: from } });
}

/** The directory gets its volume's name, unless it has it. */
export async function finishRename(parts: VolumeParts, { from, to }: Renaming): Promise<void> {
  const [before, after] = [join(parts.root, from), join(parts.root, to)];
  if (existsSync(before) && !existsSync(after)) await rename(before, after);
  parts.db.write((tx) => markReady(tx, to));
}

function refuseUsed(parts: VolumeParts, name: string): void {
  const jobs = parts.db.read((q) => holdersOf(q, name)).filter((holder) => holder.startsWith(jobHolder));
  const users = [...new Set([...parts.mounts.usersOf(name), ...jobs])];
  if (users.length === 0) return;
  throw new EngineError("conflict", `rename ${name}: volume is in use by running containers - [${users.join(", ")}]`);
}

/** A directory without a row is what could not be deleted before. */
async function clearWay(parts: VolumeParts, name: string): Promise<void> {
  await parts.mounts.clear(name);
  await parts.workers.run(removeTree, { path: join(parts.root, name) });
}
