import { join } from "node:path";
import { usageOf } from "../host/mod.ts";
import type { BuildCacheRecord } from "../wire/mod.ts";
import type { BuilderContext } from "./context.ts";
import { type CacheRow, cacheRows, mountDirectories } from "./table.ts";

/** Steps and cache mounts that are kept, oldest use first. */
export async function cacheUsage(context: BuilderContext): Promise<BuildCacheRecord[]> {
  const inImages = await imageSnapshots(context);
  const rows = context.db.read(cacheRows).filter(({ kind }) => kind !== "image");
  const steps = await Promise.all(rows.map((row) => stepRecord(context, { row, inImages })));
  return [...steps, ...(await mountRecords(context))];
}

/** Snapshots that belong to an image as well. */
async function imageSnapshots({ images, snapshots }: BuilderContext): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const { Id } of await images.list({ filter: new Map(), all: true, sharedSize: false })) {
    const image = images.find(Id);
    let at = image && (await images.rootfs(image));
    while (at !== undefined && !found.has(at)) {
      found.add(at);
      at = snapshots.info(at)?.parent;
    }
  }
  return found;
}

async function stepRecord(
  { snapshots }: BuilderContext,
  { row, inImages }: { row: CacheRow; inImages: ReadonlySet<string> },
): Promise<BuildCacheRecord> {
  const { snapshot } = row;
  const isThere = snapshot !== null && snapshots.info(snapshot) !== undefined;
  return {
    ID: row.id,
    Type: "regular",
    Description: row.description,
    InUse: false,
    Shared: snapshot !== null && inImages.has(snapshot),
    Size: isThere ? (await snapshots.usage(snapshot)).bytes : 0,
    CreatedAt: new Date(row.created).toISOString(),
    LastUsedAt: new Date(row.used).toISOString(),
    UsageCount: row.uses,
  };
}

async function mountRecords({ db, host, config }: BuilderContext): Promise<BuildCacheRecord[]> {
  const mounts = db.read(mountDirectories).map(async ({ id, directory, used }): Promise<BuildCacheRecord> => {
    const path = join(config.directory, "mounts", directory);
    const time = new Date(used).toISOString();
    return {
      ID: directory,
      Type: "exec.cachemount",
      Description: `cached mount ${id}`,
      InUse: false,
      Shared: false,
      Size: (await host.workers.run(usageOf, { path })).bytes,
      CreatedAt: time,
      LastUsedAt: time,
      UsageCount: 0,
    };
  });
  return Promise.all(mounts);
}
