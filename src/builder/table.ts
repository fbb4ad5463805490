import type { Migration, Query, Tx } from "../db/mod.ts";
import type { Roots } from "../gc/mod.ts";
import type { Digest } from "../oci/mod.ts";

export const builderMigrations: readonly Migration[] = [
  {
    module: "builder",
    version: 1,
    sql: `
      CREATE TABLE build_cache (
        key TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, snapshot TEXT, created INTEGER NOT NULL,
        used INTEGER NOT NULL, uses INTEGER NOT NULL, description TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX build_cache_used ON build_cache(used);
      CREATE TABLE build_mounts (id TEXT PRIMARY KEY, directory TEXT NOT NULL, used INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    `,
  },
];

/** Snapshots that cache entries stand on. */
export const builderRoots: Roots = {
  snapshots: (q) =>
    q
      .all<{ snapshot: string }>("SELECT DISTINCT snapshot FROM build_cache WHERE snapshot IS NOT NULL")
      .map((row) => row.snapshot),
};

export interface CacheRow {
  readonly key: Digest;
  /** What users see and name. */
  readonly id: string;
  /** "image" rows hold no files: they remember when an image of this description was made. */
  readonly kind: "exec" | "copy" | "workdir" | "image";
  /** null: an empty root. */
  readonly snapshot: string | null;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly used: number;
  readonly uses: number;
  readonly description: string;
}

export function cacheRow(q: Query, key: Digest): CacheRow | undefined {
  return q.get<CacheRow>("SELECT * FROM build_cache WHERE key = ?", [key]);
}

/** Newest use last. */
export function cacheRows(q: Query): CacheRow[] {
  return q.all<CacheRow>("SELECT * FROM build_cache ORDER BY used, key");
}

/** A new result takes the place of an older one of the same key. */
export function putCacheRow(tx: Tx, row: CacheRow): void {
  tx.run("INSERT OR REPLACE INTO build_cache VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [
    row.key,
    row.id,
    row.kind,
    row.snapshot,
    row.created,
    row.used,
    row.uses,
    row.description,
  ]);
}

export function touchCacheRow(tx: Tx, key: Digest, used: number): void {
  tx.run("UPDATE build_cache SET used = ?, uses = uses + 1 WHERE key = ?", [used, key]);
}

export function deleteCacheRow(tx: Tx, key: Digest): void {
  tx.run("DELETE FROM build_cache WHERE key = ?", [key]);
}

/** The directory of a cache mount, by the mount's id; made by the caller after the row. */
export function mountDirectory(tx: Tx, id: string, candidate: { directory: string; used: number }): string {
  tx.run("INSERT OR IGNORE INTO build_mounts VALUES (?, ?, ?)", [id, candidate.directory, candidate.used]);
  tx.run("UPDATE build_mounts SET used = ? WHERE id = ?", [candidate.used, id]);
  const row = tx.get<{ directory: string }>("SELECT directory FROM build_mounts WHERE id = ?", [id]);
  return row?.directory ?? candidate.directory;
}

export function mountDirectories(q: Query): { id: string; directory: string; used: number }[] {
  return q.all("SELECT * FROM build_mounts ORDER BY used, id");
}

export function deleteMount(tx: Tx, id: string): void {
  tx.run("DELETE FROM build_mounts WHERE id = ?", [id]);
}
