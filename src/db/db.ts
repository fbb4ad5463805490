import { Database, type SQLQueryBindings } from "bun:sqlite";
import { chmodSync, closeSync, openSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";

/**
 * One SQLite file (WAL, one writer: this process) that holds every row of the engine.
 *
 * A transaction body is synchronous by type: bun:sqlite would commit at the first await of an async body, silently.
 * Commits survive kill -9 of the daemon; synchronous=NORMAL means that a power failure may lose the last few
 * milliseconds of commits, never the file's consistency (https://www.sqlite.org/wal.html, "durability").
 */
export interface Db extends Disposable {
  read<T>(body: (q: Query) => Sync<T>): T;
  /** All or nothing. Nested calls join the outer transaction as savepoints. */
  write<T>(body: (tx: Tx) => Sync<T>): T;
}

export type Sync<T> = T extends PromiseLike<unknown> ? never : T;
export type Params = readonly (string | number | bigint | boolean | null | Uint8Array)[];

export interface Query {
  all<Row>(sql: string, params?: Params): Row[];
  get<Row>(sql: string, params?: Params): Row | undefined;
}

export interface Tx extends Query {
  /** Runs one statement and returns how many rows it changed. */
  run(sql: string, params?: Params): number;
  /** Runs after the outermost transaction has committed; not at all when it rolls back. */
  afterCommit(effect: () => void): void;
}

/** One step of one module's schema. Versions of a module count 1, 2, 3 … without gaps and are never edited once landed. */
export interface Migration {
  readonly module: string;
  readonly version: number;
  readonly sql: string;
}

/** Opens (or creates) the file and brings its schema up to date. Throws "internal" when a migration is out of order. */
export function openDb(path: string, migrations: readonly Migration[]): Db {
  const db = new SqliteDb(path);
  db.migrate(migrations);
  return db;
}

/** Containers' environments are in it. SQLite gives the files beside it (WAL) the same mode. */
function keepPrivate(path: string): void {
  closeSync(openSync(path, "a", 0o600));
  chmodSync(path, 0o600);
}

class SqliteDb implements Db, Tx {
  readonly #db: Database;
  #depth = 0;
  #effects: (() => void)[] = [];

  constructor(path: string) {
    if (path !== ":memory:") keepPrivate(path);
    this.#db = new Database(path, { create: true, strict: true });
    for (const pragma of ["journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=5000"]) {
      this.#db.run(`PRAGMA ${pragma}`);
    }
  }

  read<T>(body: (q: Query) => Sync<T>): T {
    return body(this);
  }

  write<T>(body: (tx: Tx) => Sync<T>): T {
    const mark = this.#effects.length;
    this.#depth++;
    let result: T;
    try {
      result = this.#db.transaction(() => body(this)).immediate() as T;
    } catch (err) {
      this.#effects.length = mark;
      throw err;
    } finally {
      this.#depth--;
    }
    if (this.#depth === 0) this.#flush();
    return result;
  }

  all<Row>(sql: string, params: Params = []): Row[] {
    return this.#db.query(sql).all(...bind(params)) as Row[];
  }

  get<Row>(sql: string, params: Params = []): Row | undefined {
    return (this.#db.query(sql).get(...bind(params)) ?? undefined) as Row | undefined;
  }

  run(sql: string, params: Params = []): number {
    return this.#db.query(sql).run(...bind(params)).changes;
  }

  afterCommit(effect: () => void): void {
    this.#effects.push(effect);
  }

  migrate(migrations: readonly Migration[]): void {
    this.#db.run(
      "CREATE TABLE IF NOT EXISTS schema_version (module TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT",
    );
    for (const step of migrations) this.write((tx) => this.#apply(tx, step));
  }

  #apply(tx: Tx, step: Migration): void {
    const row = tx.get<{ version: number }>("SELECT version FROM schema_version WHERE module = ?", [step.module]);
    const at = row?.version ?? 0;
    if (step.version <= at) return;
    if (step.version !== at + 1) {
      throw new EngineError("internal", `Migration ${step.version} of ${step.module} does not follow version ${at}`);
    }
    this.#db.run(step.sql);
    tx.run("INSERT OR REPLACE INTO schema_version VALUES (?, ?)", [step.module, step.version]);
  }

  #flush(): void {
    const effects = this.#effects;
    this.#effects = [];
    for (const effect of effects) effect();
  }

  [Symbol.dispose](): void {
    this.#db.close(false);
  }
}

function bind(params: Params): SQLQueryBindings[] {
  return params as SQLQueryBindings[];
}
