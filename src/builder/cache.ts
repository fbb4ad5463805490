import { randomBytes } from "node:crypto";
import type { Db } from "../db/mod.ts";
import { type Digest, digestOf } from "../oci/mod.ts";
import type { PackedLayers } from "./packed-layers.ts";
import { type CacheRow, cacheRow, putCacheRow, touchCacheRow } from "./table.ts";

/** What is known about steps that ran before. Entries whose snapshot is gone are as good as not there. */
export class BuildCache {
  readonly #db: Db;
  readonly #results: Pick<PackedLayers, "has">;

  constructor(db: Db, results: Pick<PackedLayers, "has">) {
    this.#db = db;
    this.#results = results;
  }

  /** To be called under a lease, which keeps what is found. */
  lookup(key: Digest): CacheRow | undefined {
    const row = this.#db.read((q) => cacheRow(q, key));
    if (!row) return undefined;
    if (row.snapshot !== null && !this.#results.has(row.snapshot)) return undefined;
    this.#db.write((tx) => touchCacheRow(tx, key, Date.now()));
    return row;
  }

  record(entry: Pick<CacheRow, "key" | "kind" | "snapshot" | "description" | "created">): void {
    const id = randomBytes(12).toString("hex");
    this.#db.write((tx) => putCacheRow(tx, { ...entry, id, used: entry.created, uses: 0 }));
  }
}

/** A key from everything that decides a result; the same parts give the same key. */
export function cacheKey(parts: unknown): Digest {
  return digestOf(JSON.stringify(parts));
}
