import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { removeTree, usageOf } from "../host/mod.ts";
import type { Filters } from "../wire/mod.ts";
import type { BuilderContext } from "./context.ts";
import { duration } from "./dockerfile/duration.ts";
import { cacheRows, deleteCacheRow, deleteMount, mountDirectories } from "./table.ts";

/** Forgets cache entries, then lets the collector delete what nothing else refers to. `all` also takes cache mounts. */
export async function pruneCache(
  context: BuilderContext,
  { filter, all }: { filter: Filters; all: boolean },
): Promise<{ deleted: string[]; reclaimed: number }> {
  const matches = matcher(filter);
  const rows = context.db.read(cacheRows).filter(({ id, used }) => matches({ id, used }));
  context.db.write((tx) => {
    for (const { key } of rows) deleteCacheRow(tx, key);
  });
  const mounts = all ? await pruneMounts(context, matches) : { deleted: [], reclaimed: 0 };
  const { bytes } = await context.collector.collect();
  const deleted = rows.filter(({ kind }) => kind !== "image").map(({ id }) => id);
  return { deleted: [...deleted, ...mounts.deleted], reclaimed: bytes + mounts.reclaimed };
}

type Matcher = (entry: { readonly id: string; readonly used: number }) => boolean;

function matcher(filter: Filters): Matcher {
  const unknown = [...filter.keys()].find((name) => name !== "id" && name !== "until");
  if (unknown !== undefined) throw new EngineError("invalid", `invalid filter '${unknown}'`);
  const ids = filter.get("id") ?? [];
  const until = (filter.get("until") ?? []).map(before);
  return ({ id, used }) =>
    (ids.length === 0 || ids.some((one) => id.startsWith(one))) && until.every((time) => used < time);
}

/** "24h", Unix seconds, or a date; milliseconds since 1970. */
function before(text: string): number {
  const ago = duration(text);
  if (ago !== undefined) return Date.now() - ago / 1e6;
  const time = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isNaN(time)) throw new EngineError("invalid", `invalid filter 'until=${text}'`);
  return time;
}

/** Row first: a directory that is left over is garbage that the next prune of its kind would not find, so it goes with it. */
async function pruneMounts(
  context: BuilderContext,
  matches: Matcher,
): Promise<{ deleted: string[]; reclaimed: number }> {
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const { id, directory, used } of context.db.read(mountDirectories)) {
    if (!matches({ id: directory, used })) continue;
    await context.mountLocks.run(id, async () => {
      const path = join(context.config.directory, "mounts", directory);
      reclaimed += (await context.host.workers.run(usageOf, { path })).bytes;
      context.db.write((tx) => deleteMount(tx, id));
      await context.host.workers.run(removeTree, { path });
    });
    deleted.push(directory);
  }
  return { deleted, reclaimed };
}
