import type { Db, Migration, Tx } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { Roots } from "../gc/mod.ts";
import type { Digest } from "../oci/mod.ts";
import type { ContainerConfig, EndpointConfig, HostConfig, PortMap } from "../wire/mod.ts";
import type { MountEntry } from "./mount-entry.ts";
import type { Phase } from "./transition.ts";

/** One container, as it is known after a kill -9. Instants are RFC 3339 in UTC with nanoseconds, "" for never. */
export interface Row {
  readonly id: string;
  /** Unique, without the slash. */
  readonly name: string;
  readonly imageId: Digest | "";
  readonly created: string;
  /** As sent, with the image's configuration merged in. */
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly endpoints: Readonly<Record<string, EndpointConfig>>;
  readonly mounts: readonly MountEntry[];
  readonly phase: Phase;
  /** 0 when there is no process. */
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  readonly started: string;
  readonly finished: string;
  readonly restartCount: number;
  /** A user stopped or killed it since it last started: "unless-stopped" leaves it alone at daemon start. */
  readonly stoppedByUser: boolean;
  /** The host's ports that the engine chose at the last start, where bindings leave it open; the next start prefers them. */
  readonly chosenPorts: PortMap;
}

export type RowPatch = Partial<Omit<Row, "id" | "created">>;

export const tableMigrations: readonly Migration[] = [
  {
    module: "containers",
    version: 1,
    sql: `CREATE TABLE containers (
      id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, imageId TEXT NOT NULL, created TEXT NOT NULL,
      config TEXT NOT NULL, hostConfig TEXT NOT NULL, endpoints TEXT NOT NULL, mounts TEXT NOT NULL,
      phase TEXT NOT NULL, pid INTEGER NOT NULL, exitCode INTEGER NOT NULL, error TEXT NOT NULL,
      oomKilled INTEGER NOT NULL, started TEXT NOT NULL, finished TEXT NOT NULL,
      restartCount INTEGER NOT NULL, stoppedByUser INTEGER NOT NULL) STRICT`,
  },
  {
    module: "containers",
    version: 2,
    sql: `ALTER TABLE containers ADD COLUMN chosenPorts TEXT NOT NULL DEFAULT '{}'`,
  },
];

/** For the collector: every container's layer stays, and with it the layers below. */
export const containerRoots: Roots = {
  snapshots: (q) =>
    q.all<{ name: string }>("SELECT 'container/' || id AS name FROM containers").map(({ name }) => name),
};

const columns = [
  "id",
  "name",
  "imageId",
  "created",
  "config",
  "hostConfig",
  "endpoints",
  "mounts",
  "phase",
  "pid",
  "exitCode",
  "error",
  "oomKilled",
  "started",
  "finished",
  "restartCount",
  "stoppedByUser",
  "chosenPorts",
] as const satisfies readonly (keyof Row)[];
const json = new Set<string>(["config", "hostConfig", "endpoints", "mounts", "chosenPorts"]);
const flags = new Set<string>(["oomKilled", "stoppedByUser"]);

/**
 * The rows, with a mirror in memory that changes after each commit: `ps` of a thousand containers parses no JSON, and what
 * it reads is what was committed. Rows are replaced, never changed, so whoever holds one has a consistent picture.
 */
export class ContainerTable {
  readonly #db: Db;
  readonly #rows = new Map<string, Row>();
  readonly #names = new Map<string, string>();

  constructor(db: Db) {
    this.#db = db;
    const stored = db.read((q) => q.all<Record<string, unknown>>("SELECT * FROM containers ORDER BY created, rowid"));
    for (const row of stored) this.#put(decode(row));
  }

  get(id: string): Row | undefined {
    return this.#rows.get(id);
  }

  named(name: string): Row | undefined {
    return this.#rows.get(this.#names.get(name) ?? "");
  }

  /** Oldest first. */
  all(): Iterable<Row> {
    return this.#rows.values();
  }

  /** Throws "conflict" in Docker's words when the name is taken. `also` runs in the same transaction. */
  insert(row: Row, also?: (tx: Tx) => void): void {
    this.#refuseTaken(row);
    const sql = `INSERT INTO containers (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`;
    this.#db.write((tx) => {
      tx.run(
        sql,
        columns.map((column) => encode(column, row[column])),
      );
      tx.afterCommit(() => this.#put(row));
      also?.(tx);
    });
  }

  /** Changes a row that exists and returns it; `also` runs in the same transaction, where events are queued. */
  update(id: string, patch: RowPatch, also?: (tx: Tx, row: Row) => void): Row {
    const before = this.#rows.get(id);
    if (!before) throw new EngineError("not-found", `No such container: ${id}`);
    const row: Row = { ...before, ...patch };
    if (row.name !== before.name) this.#refuseTaken(row);
    const keys = Object.keys(patch) as (keyof RowPatch)[];
    const sql = `UPDATE containers SET ${keys.map((key) => `${key} = ?`).join(", ")} WHERE id = ?`;
    this.#db.write((tx) => {
      tx.run(sql, [...keys.map((key) => encode(key, row[key])), id]);
      tx.afterCommit(() => this.#put(row));
      also?.(tx, row);
    });
    return row;
  }

  delete(id: string, also?: (tx: Tx) => void): void {
    this.#db.write((tx) => {
      tx.run("DELETE FROM containers WHERE id = ?", [id]);
      tx.afterCommit(() => this.#drop(id));
      also?.(tx);
    });
  }

  #put(row: Row): void {
    const before = this.#rows.get(row.id);
    if (before && before.name !== row.name) this.#names.delete(before.name);
    this.#rows.set(row.id, row);
    this.#names.set(row.name, row.id);
  }

  #drop(id: string): void {
    const row = this.#rows.get(id);
    this.#rows.delete(id);
    if (row) this.#names.delete(row.name);
  }

  #refuseTaken(row: Row): void {
    const owner = this.named(row.name);
    if (!owner || owner.id === row.id) return;
    const advice = "You have to remove (or rename) that container to be able to reuse that name.";
    const text = `Conflict. The container name "/${row.name}" is already in use by container "${owner.id}". ${advice}`;
    throw new EngineError("conflict", text);
  }
}

function encode(column: string, value: unknown): string | number {
  if (json.has(column)) return JSON.stringify(value);
  return typeof value === "number" ? value : typeof value === "boolean" ? Number(value) : String(value);
}

function decode(stored: Readonly<Record<string, unknown>>): Row {
  const row: Record<string, unknown> = {};
  for (const column of columns) {
    const value = stored[column];
    row[column] = json.has(column) ? JSON.parse(String(value)) : flags.has(column) ? value !== 0 : value;
  }
  return row as unknown as Row;
}
