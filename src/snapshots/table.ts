import type { Migration, Query, Tx } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { DroppedSnapshot, SnapshotInfo } from "./snapshots.ts";

export const snapshotsMigrations: readonly Migration[] = [
  {
    module: "snapshots",
    version: 1,
    // AUTOINCREMENT: a number names a directory, and one that is being deleted must not be given away again.
    sql: `
      CREATE TABLE snapshots (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        parent INTEGER REFERENCES snapshots(id),
        state TEXT NOT NULL CHECK (state IN ('active', 'committed')),
        created INTEGER NOT NULL,
        bytes INTEGER,
        inodes INTEGER
      ) STRICT;
      CREATE INDEX snapshots_parent ON snapshots(parent);`,
  },
];

export interface SnapshotRow {
  readonly id: number;
  readonly name: string;
  readonly parent: number | null;
  readonly state: "active" | "committed";
  /** Known once it was asked for and cannot change any more. */
  readonly bytes: number | null;
  readonly inodes: number | null;
}

const columns = "id, name, parent, state, bytes, inodes";

export function findSnapshot(q: Query, name: string): SnapshotRow | undefined {
  return q.get<SnapshotRow>(`SELECT ${columns} FROM snapshots WHERE name = ?`, [name]);
}

/** Throws "not-found". */
export function requireSnapshot(q: Query, name: string): SnapshotRow {
  const row = findSnapshot(q, name);
  if (!row) throw new EngineError("not-found", `Snapshot ${name} not found`);
  return row;
}

const infoColumns =
  "s.name, p.name AS parent, s.state, s.created FROM snapshots s LEFT JOIN snapshots p ON p.id = s.parent";
type InfoRow = Omit<SnapshotInfo, "parent"> & { readonly parent: string | null };

export function snapshotInfo(q: Query, name: string): SnapshotInfo | undefined {
  const row = q.get<InfoRow>(`SELECT ${infoColumns} WHERE s.name = ?`, [name]);
  return row && toInfo(row);
}

export function listSnapshots(q: Query): SnapshotInfo[] {
  return q.all<InfoRow>(`SELECT ${infoColumns} ORDER BY s.id`).map(toInfo);
}

function toInfo({ parent, ...row }: InfoRow): SnapshotInfo {
  return parent === null ? row : { ...row, parent };
}

/** Throws "conflict" when the key is taken. */
export function insertSnapshot(tx: Tx, snapshot: { key: string; parent: number | null }): number {
  requireFree(tx, snapshot.key);
  const sql = "INSERT INTO snapshots (name, parent, state, created) VALUES (?, ?, 'active', ?) RETURNING id";
  return tx.get<{ id: number }>(sql, [snapshot.key, snapshot.parent, Date.now()])?.id ?? 0;
}

/** Throws "conflict" when the name is taken. */
export function commitSnapshot(tx: Tx, id: number, name: string): void {
  requireFree(tx, name);
  tx.run("UPDATE snapshots SET name = ?, state = 'committed' WHERE id = ?", [name, id]);
}

function requireFree(q: Query, name: string): void {
  if (findSnapshot(q, name)) throw new EngineError("conflict", `Snapshot ${name} already exists`);
}

export function deleteSnapshot(tx: Tx, id: number): void {
  tx.run("DELETE FROM snapshots WHERE id = ?", [id]);
}

export function childOf(q: Query, id: number): string | undefined {
  return q.get<{ name: string }>("SELECT name FROM snapshots WHERE parent = ? LIMIT 1", [id])?.name;
}

/** The numbers from `id` down to the bottom. */
export function chainOf(q: Query, id: number | null): number[] {
  const sql = `WITH RECURSIVE chain(id, parent, depth) AS (
      SELECT id, parent, 0 FROM snapshots WHERE id = ?
      UNION ALL SELECT s.id, s.parent, depth + 1 FROM snapshots s JOIN chain ON s.id = chain.parent)
    SELECT id FROM chain ORDER BY depth`;
  return q.all<{ id: number }>(sql, [id]).map((row) => row.id);
}

export function storeUsage(tx: Tx, id: number, usage: { bytes: number; inodes: number }): void {
  tx.run("UPDATE snapshots SET bytes = ?, inodes = ? WHERE id = ?", [usage.bytes, usage.inodes, id]);
}

export function snapshotStates(q: Query): { id: number; state: SnapshotRow["state"] }[] {
  return q.all("SELECT id, state FROM snapshots");
}

/** Mark and sweep: `roots` and all their parents stay. One statement, so that parents may go together with their children. */
export function deleteUnreferenced(tx: Tx, roots: Iterable<string>): DroppedSnapshot[] {
  return tx.all<DroppedSnapshot>(
    `WITH RECURSIVE live(id) AS (
       SELECT id FROM snapshots WHERE name IN (SELECT value FROM json_each(?))
       UNION SELECT s.parent FROM snapshots s JOIN live ON s.id = live.id WHERE s.parent IS NOT NULL)
     DELETE FROM snapshots WHERE id NOT IN (SELECT id FROM live) RETURNING id, name`,
    [JSON.stringify([...roots])],
  );
}
