import { join } from "node:path";
import { removeTree, usageOf } from "../host/mod.ts";
import { type Filters, filterUntil, requireFilters } from "../wire/mod.ts";
import type { BuilderContext } from "./context.ts";
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
  const reclaimed = bytes + mounts.reclaimed;
  context.events.publish({ type: "builder", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
  return { deleted: [...deleted, ...mounts.deleted], reclaimed };
}

type Matcher = (entry: { readonly id: string; readonly used: number }) => boolean;

function matcher(filter: Filters): Matcher {
  requireFilters(filter, ["id", "until"]);
  const ids = filter.get("id") ?? [];
  const until = filterUntil(filter);
  return ({ id, used }) => (ids.length === 0 || ids.some((one) => id.startsWith(one))) && used < until;
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
