import type { Db, Migration, Tx } from "../db/mod.ts";
import type { EventMessage } from "../wire/mod.ts";

export const eventsMigrations: readonly Migration[] = [
  {
    module: "events",
    version: 1,
    sql: "CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL) STRICT; CREATE INDEX events_at ON events(at)",
  },
  // The lengths of all bodies so far, so that the size of what is kept is one subtraction.
  { module: "events", version: 2, sql: "ALTER TABLE events ADD COLUMN total INTEGER NOT NULL DEFAULT 0" },
];

export interface LoggedEvent {
  /** Its place in the log: counts up, and never again for another event while this program runs. */
  readonly seq: number;
  readonly message: EventMessage;
}

export interface LogLimits {
  readonly events: number;
  /** Of the events' JSON. */
  readonly bytes: number;
  /** Milliseconds. */
  readonly age: number;
}

export const defaultLimits: LogLimits = { events: 1_000_000, bytes: 512 << 20, age: 90 * 24 * 3600 * 1000 };

/** How many events are read at once: about a millisecond's work. */
export const pageSize = 256;
/** At least so many of the newest are at hand without a look at the database. */
const atHand = 1024;
/** So many are written without waiting for the end of this turn of the event loop: they must be stored before they are no longer at hand. */
const mostPending = 512;
/** An earlier event that claims to come from further ahead, in nanoseconds, was written under a wrong clock. */
const plausible = 24n * 3600n * 1_000_000_000n;

/**
 * The events on disk, and the newest of them in memory. They are written once a turn of the event loop, in one transaction;
 * a disk that takes none of them is no reason to end the daemon: who listens gets them all the same.
 */
export class EventLog {
  readonly #db: Db;
  readonly #limits: LogLimits;
  /** Without gaps, oldest first; holds all of `#pending`. */
  readonly #recent: LoggedEvent[] = [];
  #pending: LoggedEvent[] = [];
  #newest: number;
  #lastAt: bigint;
  #total: number;

  constructor(db: Db, limits: LogLimits) {
    this.#db = db;
    this.#limits = limits;
    const newest = "SELECT seq, at, total FROM events ORDER BY seq DESC LIMIT 1";
    const last = db.read((q) => q.get<{ seq: number; at: number; total: number }>(newest));
    this.#total = last?.total ?? 0;
    this.#newest = last?.seq ?? 0;
    const at = BigInt(last?.at ?? 0);
    this.#lastAt = at < nowNs() + plausible ? at : 0n;
  }

  /** The place of the newest event; 0 when there has been none. */
  get newest(): number {
    return this.#newest;
  }

  append(event: Omit<EventMessage, "time" | "timeNano">): void {
    const at = this.#instant();
    const times = { time: Number(at / 1_000_000_000n), timeNano: Number(at) };
    const logged = { seq: ++this.#newest, message: { ...event, ...times } };
    this.#recent.push(logged);
    if (this.#recent.length >= 2 * atHand) this.#recent.splice(0, this.#recent.length - atHand);
    this.#pending.push(logged);
    if (this.#pending.length === 1) setImmediate(() => this.flush());
    else if (this.#pending.length >= mostPending) this.flush();
  }

  /** The next events after this place, oldest first, at most {@link pageSize}; none when there are no newer ones. */
  after(seq: number): readonly LoggedEvent[] {
    const first = this.#recent[0]?.seq ?? this.#newest + 1;
    if (seq < first - 1) {
      const stored = this.#stored(seq);
      if (stored.length > 0) return stored;
    }
    const from = Math.max(0, seq - first + 1);
    return this.#recent.slice(from, from + pageSize);
  }

  /** The place before the first event at or after this instant (nanoseconds since 1970). */
  before(at: bigint): number {
    this.flush();
    const sql = "SELECT seq FROM events WHERE at >= ? ORDER BY at, seq LIMIT 1";
    const found = this.#db.read((q) => q.get<{ seq: number }>(sql, [at]));
    const recent = this.#recent.find(({ message }) => BigInt(message.timeNano) >= at);
    return Math.min(found?.seq ?? Number.POSITIVE_INFINITY, recent?.seq ?? this.#newest + 1) - 1;
  }

  /** Writes what has not been written. */
  flush(): void {
    const batch = this.#pending;
    if (batch.length === 0) return;
    this.#pending = [];
    try {
      this.#db.write((tx) => this.#store(tx, batch));
    } catch {
      // Nobody is there to be told, and the events are still at hand.
    }
  }

  /**
   * Strictly increasing instants, so that `--since` with the last one seen never repeats a different event. A microsecond
   * apart, since a JSON number holds today's nanoseconds to 256 only.
   */
  #instant(): bigint {
    const now = nowNs();
    this.#lastAt = now > this.#lastAt ? now : this.#lastAt + 1000n;
    return this.#lastAt;
  }

  #stored(seq: number): LoggedEvent[] {
    const sql = "SELECT seq, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?";
    const rows = this.#db.read((q) => q.all<{ seq: number; body: string }>(sql, [seq, pageSize]));
    return rows.map((row) => ({ seq: row.seq, message: JSON.parse(row.body) as EventMessage }));
  }

  #store(tx: Tx, batch: readonly LoggedEvent[]): void {
    let total = this.#total;
    for (const { seq, message } of batch) {
      const body = JSON.stringify(message);
      total += body.length;
      tx.run("INSERT INTO events VALUES (?, ?, ?, ?)", [seq, message.timeNano, body, total]);
    }
    tx.afterCommit(() => {
      this.#total = total;
    });
    const newest = batch.at(-1)?.seq ?? 0;
    // Each event written makes room for two: what is too old goes bit by bit, whatever has piled up.
    if (newest % pageSize < batch.length) this.#trim(tx, { newest, total, room: 2 * (pageSize + batch.length) });
  }

  #trim(tx: Tx, { newest, total, room }: { newest: number; total: number; room: number }): void {
    const sql = `DELETE FROM events WHERE seq IN
      (SELECT seq FROM (SELECT * FROM events ORDER BY seq LIMIT ?) WHERE seq <= ? OR at < ? OR total <= ?)`;
    const oldest = (Date.now() - this.#limits.age) * 1_000_000;
    tx.run(sql, [room, newest - this.#limits.events, oldest, total - this.#limits.bytes]);
  }
}

function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
