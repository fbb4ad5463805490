import type { Db, Migration, Tx } from "../../db/mod.ts";
import type { Health } from "./machine.ts";

/** A health belongs to one process: one of an earlier start is history. */
export interface StoredHealth {
  /** The row's `started`. */
  readonly started: string;
  readonly health: Health;
}

export const healthMigrations: readonly Migration[] = [
  {
    module: "containers-health",
    version: 1,
    sql: `CREATE TABLE health (
      containerId TEXT PRIMARY KEY REFERENCES containers(id) ON DELETE CASCADE,
      started TEXT NOT NULL, health TEXT NOT NULL) STRICT`,
  },
];

/** What of healths outlives the daemon: they are written when the status changes, so a streak below it may be counted anew. */
export class HealthTable {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  all(): Map<string, StoredHealth> {
    const sql = "SELECT containerId, started, health FROM health";
    const rows = this.#db.read((q) => q.all<{ containerId: string; started: string; health: string }>(sql));
    return new Map(
      rows.map((row) => [row.containerId, { started: row.started, health: JSON.parse(row.health) as Health }]),
    );
  }

  /** Nothing for a container that is gone. */
  put(containerId: string, { started, health }: StoredHealth, also?: (tx: Tx) => void): void {
    const sql = "INSERT OR REPLACE INTO health SELECT id, ?, ? FROM containers WHERE id = ?";
    this.#db.write((tx) => {
      tx.run(sql, [started, JSON.stringify(health), containerId]);
      also?.(tx);
    });
  }
}
