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
  {
    module: "builder",
    version: 2,
    sql: `
      -- what a step left, as a layer; its snapshot of the same name is made when a step needs it
      CREATE TABLE build_layers (
        name TEXT PRIMARY KEY, parent TEXT, digest TEXT NOT NULL, size INTEGER NOT NULL, bytes INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      -- what decided the results of steps, for whoever asks why one ran again; parts is JSON
      CREATE TABLE build_steps (
        id INTEGER PRIMARY KEY, text TEXT NOT NULL, parent TEXT, parts TEXT NOT NULL, listing BLOB, used INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX build_steps_text ON build_steps(text);
      -- contents of clients' contexts
      CREATE TABLE build_contexts (
        key TEXT PRIMARY KEY, directory TEXT NOT NULL, used INTEGER NOT NULL, bytes INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
  },
];

/** Snapshots and layers that cache entries stand on. */
export const builderRoots: Roots = {
  snapshots: (q) => [
    ...q
      .all<{ snapshot: string }>("SELECT DISTINCT snapshot FROM build_cache WHERE snapshot IS NOT NULL")
      .map((row) => row.snapshot),
    ...q
      .all<{ parent: string }>("SELECT DISTINCT parent FROM build_layers WHERE parent IS NOT NULL")
      .map((row) => row.parent),
  ],
  content: (q) => q.all<{ digest: Digest }>("SELECT DISTINCT digest FROM build_layers").map((row) => row.digest),
};

export interface LayerRow {
  /** Of the snapshot. */
  readonly name: string;
  readonly parent: string | null;
  /** Of the layer, which is not compressed. */
  readonly digest: Digest;
  readonly size: number;
  /** What its files take on a disk. */
  readonly bytes: number;
}

export function layerRow(q: Query, name: string): LayerRow | undefined {
  return q.get<LayerRow>("SELECT * FROM build_layers WHERE name = ?", [name]);
}

export function layerNames(q: Query, digest: Digest): string[] {
  return q.all<{ name: string }>("SELECT name FROM build_layers WHERE digest = ?", [digest]).map(({ name }) => name);
}

export function putLayerRow(tx: Tx, { name, parent, digest, size, bytes }: LayerRow): void {
  tx.run("INSERT OR REPLACE INTO build_layers VALUES (?, ?, ?, ?, ?)", [name, parent, digest, size, bytes]);
}

/** Those that no cache entry stands on, directly or from above. */
export function dropLayerRows(tx: Tx): void {
  tx.run(`
    WITH RECURSIVE kept(name) AS (
      SELECT snapshot FROM build_cache WHERE snapshot IS NOT NULL
      UNION SELECT parent FROM build_layers JOIN kept USING (name) WHERE parent IS NOT NULL
    )
    DELETE FROM build_layers WHERE name NOT IN (SELECT name FROM kept)`);
}

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

export interface ContextRow {
  readonly key: string;
  readonly directory: string;
  readonly used: number;
  readonly bytes: number;
}

/** The directory with a client's contents; made by the caller after the row. */
export function contextDirectory(tx: Tx, key: string, candidate: { directory: string; used: number }): string {
  tx.run("INSERT OR IGNORE INTO build_contexts VALUES (?, ?, ?, 0)", [key, candidate.directory, candidate.used]);
  tx.run("UPDATE build_contexts SET used = ? WHERE key = ?", [candidate.used, key]);
  const row = tx.get<{ directory: string }>("SELECT directory FROM build_contexts WHERE key = ?", [key]);
  return row?.directory ?? candidate.directory;
}

export function setContextSize(tx: Tx, key: string, bytes: number): void {
  tx.run("UPDATE build_contexts SET bytes = ? WHERE key = ?", [bytes, key]);
}

/** Newest use last. */
export function keptContexts(q: Query): ContextRow[] {
  return q.all<ContextRow>("SELECT * FROM build_contexts ORDER BY used, key");
}

export function deleteContext(tx: Tx, key: string): void {
  tx.run("DELETE FROM build_contexts WHERE key = ?", [key]);
}

export interface StepRow {
  readonly text: string;
  readonly parent: string | null;
  readonly parts: string;
  /** Compressed, see `packListing`. */
  readonly listing: Uint8Array | null;
  readonly used: number;
}

/** How many times of one instruction are remembered, and how many of all. */
const mostSteps = { each: 8, all: 20_000 };

export function putStep(tx: Tx, { text, parent, parts, listing, used }: StepRow): void {
  const sql = "INSERT INTO build_steps (text, parent, parts, listing, used) VALUES (?, ?, ?, ?, ?)";
  tx.run(sql, [text, parent, parts, listing, used]);
  const old = "SELECT id FROM build_steps WHERE text = ? ORDER BY id DESC LIMIT -1 OFFSET ?";
  tx.run(`DELETE FROM build_steps WHERE id IN (${old})`, [text, mostSteps.each]);
  tx.run("DELETE FROM build_steps WHERE id <= (SELECT max(id) FROM build_steps) - ?", [mostSteps.all]);
}

/** Last one last. */
export function stepRows(q: Query, text: string): StepRow[] {
  return q.all<StepRow>("SELECT text, parent, parts, listing, used FROM build_steps WHERE text = ? ORDER BY id", [
    text,
  ]);
}
