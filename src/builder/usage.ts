import type { BuildCacheRecord } from "../wire/mod.ts";
import type { BuilderContext } from "./context.ts";
import { type CacheRecord, cacheRecords } from "./records.ts";

/** Steps, cache mounts and contexts that are kept, oldest use first. */
export async function cacheUsage(context: BuilderContext): Promise<BuildCacheRecord[]> {
  return (await cacheRecords(context)).filter(({ kind }) => kind !== "note").map(shownRecord);
}

function shownRecord(record: CacheRecord): BuildCacheRecord {
  return {
    ID: record.id,
    ...(record.parents.length > 0 && { Parents: record.parents }),
    Type: record.type,
    Description: record.description,
    InUse: record.inUse,
    Shared: record.shared,
    Size: record.bytes,
    CreatedAt: new Date(record.created).toISOString(),
    LastUsedAt: new Date(record.used).toISOString(),
    UsageCount: record.uses,
  };
}
