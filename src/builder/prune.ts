import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../host/mod.ts";
import type { Filters } from "../wire/mod.ts";
import type { PruneOptions } from "./builder.ts";
import type { BuilderContext } from "./context.ts";
import type { KeptContexts } from "./kept/kept-contexts.ts";
import { planPrune } from "./prune-plan.ts";
import { type CacheRecord, cacheRecords } from "./records.ts";
import { deleteCacheRow, deleteMount, dropLayerRows } from "./table.ts";

export interface PruneRequest extends PruneOptions {
  readonly filter: Filters;
  readonly contexts: Pick<KeptContexts, "forget">;
}

/**
 * Forgets cache entries, then lets the collector delete what nothing else refers to. Cache mounts and contexts go with
 * `all`, or when a filter names their type.
 */
export async function pruneCache(
  context: BuilderContext,
  request: PruneRequest,
): Promise<{ deleted: string[]; reclaimed: number }> {
  const { filter, all, reserved = 0, most = 0, minFree = 0 } = request;
  const records = await cacheRecords(context);
  const named = filter.get("type") ?? [];
  const candidates = records.filter(
    ({ kind, type }) => all || kind === "step" || kind === "note" || named.includes(type),
  );
  const { bavail, bsize } = await statfs(context.config.directory);
  const space = { reserved, most, minFree, free: bavail * bsize };
  const gone = planPrune(candidates, { filter, space });
  context.db.write((tx) => {
    for (const { kind, key } of gone)
      if (kind === "step" || kind === "note") deleteCacheRow(tx, key as `sha256:${string}`);
    dropLayerRows(tx);
  });
  let reclaimed = 0;
  for (const record of gone) {
    if (record.kind === "mount") await deleteMountDirectory(context, record);
    if (record.kind === "context") await request.contexts.forget(record.key);
    if (record.kind === "mount" || record.kind === "context") reclaimed += record.bytes;
  }
  reclaimed += (await context.collector.collect()).bytes;
  context.events.publish({ type: "builder", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
  return { deleted: gone.filter(({ kind }) => kind !== "note").map(({ id }) => id), reclaimed };
}

/** Row first: a directory that is left over is garbage that the next prune of its kind would not find, so it goes with it. */
async function deleteMountDirectory(context: BuilderContext, { key, id }: CacheRecord): Promise<void> {
  await context.mountLocks.run(key, async () => {
    context.db.write((tx) => deleteMount(tx, key));
    await context.host.workers.run(removeTree, { path: join(context.config.directory, "mounts", id) });
  });
}
