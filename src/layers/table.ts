import type { Migration, Query, Tx } from "../db/mod.ts";
import type { Digest } from "../oci/mod.ts";

export const layersMigrations: readonly Migration[] = [
  {
    module: "layers",
    version: 1,
    sql: `
      CREATE TABLE chains (chain_id TEXT PRIMARY KEY, snapshot TEXT NOT NULL) STRICT, WITHOUT ROWID;
      -- created is the snapshot's, so that a later snapshot of the same name is not taken for it
      CREATE TABLE layer_blobs (
        snapshot TEXT PRIMARY KEY, created INTEGER NOT NULL,
        digest TEXT NOT NULL, size INTEGER NOT NULL, empty INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;`,
  },
];

export function findChain(q: Query, chainId: Digest): string | undefined {
  return q.get<{ snapshot: string }>("SELECT snapshot FROM chains WHERE chain_id = ?", [chainId])?.snapshot;
}

export function insertChain(tx: Tx, chainId: Digest, snapshot: string): void {
  tx.run("INSERT OR REPLACE INTO chains VALUES (?, ?)", [chainId, snapshot]);
}

/** What is remembered of snapshots that are gone; `there` are those that are not. */
export function dropStale(tx: Tx, there: Iterable<string>): void {
  const names = [JSON.stringify([...there])];
  tx.run("DELETE FROM chains WHERE snapshot NOT IN (SELECT value FROM json_each(?))", names);
  tx.run("DELETE FROM layer_blobs WHERE snapshot NOT IN (SELECT value FROM json_each(?))", names);
}

export interface PackedRow {
  readonly digest: Digest;
  readonly size: number;
  readonly empty: boolean;
}

export interface SnapshotKey {
  readonly name: string;
  readonly created: number;
}

export function findPacked(q: Query, { name, created }: SnapshotKey): PackedRow | undefined {
  const sql = "SELECT digest, size, empty FROM layer_blobs WHERE snapshot = ? AND created = ?";
  const row = q.get<{ digest: Digest; size: number; empty: number }>(sql, [name, created]);
  return row && { ...row, empty: row.empty !== 0 };
}

export function insertPacked(tx: Tx, { name, created }: SnapshotKey, row: PackedRow): void {
  const values = [name, created, row.digest, row.size, row.empty ? 1 : 0];
  tx.run("INSERT OR REPLACE INTO layer_blobs VALUES (?, ?, ?, ?, ?)", values);
}
