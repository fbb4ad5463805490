import { Queue } from "../async/mod.ts";
import type { Db, Migration } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { EventMessage, Filters } from "../wire/mod.ts";

/**
 * The bus. Publish only from `tx.afterCommit`, so that nobody hears of what did not happen.
 * The last {@link kept} events stay in the database, which is what `events --since` reads, also over a restart.
 */
export interface Events {
  publish(event: EngineEvent): void;
  /** Live events that match, until the signal aborts. A slow reader loses nothing, but one that is {@link most} behind is cut off with "unavailable". */
  subscribe(filter: EventFilter, signal: AbortSignal): AsyncIterable<EventMessage>;
  /** Stored events at or after `from` (nanoseconds since 1970), oldest first. */
  since(filter: EventFilter, from: bigint): EventMessage[];
  /** How many subscribers there are. */
  readonly listeners: number;
}

export interface EngineEvent {
  readonly type: "container" | "image" | "network" | "volume" | "daemon" | "builder";
  readonly action: string;
  readonly id: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

export type EventFilter = Filters;

export const eventsMigrations: readonly Migration[] = [
  {
    module: "events",
    version: 1,
    sql: "CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL) STRICT; CREATE INDEX events_at ON events(at)",
  },
];

const kept = 10_000;
/** Events that wait for one subscriber: one that does not read must not fill the memory. */
const most = 100_000;

export function createEvents(db: Db): Events {
  return new EventBus(db);
}

class EventBus implements Events {
  readonly #db: Db;
  readonly #subscribers = new Set<{ filter: EventFilter; queue: Queue<EventMessage> }>();
  #last = 0n;
  #pending: EventMessage[] = [];

  constructor(db: Db) {
    this.#db = db;
  }

  get listeners(): number {
    return this.#subscribers.size;
  }

  publish(event: EngineEvent): void {
    const message = this.#stamp(event);
    this.#pending.push(message);
    if (this.#pending.length === 1) queueMicrotask(() => this.#storeOrDrop());
    for (const { filter, queue } of this.#subscribers) {
      if (!matches(filter, message)) continue;
      if (queue.size < most) queue.push(message);
      else queue.close(new EngineError("unavailable", `More than ${most} events were not read`));
    }
  }

  async *subscribe(filter: EventFilter, signal: AbortSignal): AsyncIterable<EventMessage> {
    const subscriber = { filter, queue: new Queue<EventMessage>() };
    const stop = () => subscriber.queue.close();
    this.#subscribers.add(subscriber);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      yield* subscriber.queue;
    } finally {
      signal.removeEventListener("abort", stop);
      this.#subscribers.delete(subscriber);
    }
  }

  since(filter: EventFilter, from: bigint): EventMessage[] {
    this.#store();
    const sql = "SELECT body FROM events WHERE at >= ? ORDER BY seq";
    const rows = this.#db.read((q) => q.all<{ body: string }>(sql, [from]));
    return rows.map((row) => JSON.parse(row.body) as EventMessage).filter((message) => matches(filter, message));
  }

  /**
   * Strictly increasing instants, so that `since` with the last one seen never repeats a different event. A microsecond
   * apart, since a JSON number holds today's nanoseconds to 256 only.
   */
  #stamp(event: EngineEvent): EventMessage {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.#last = now > this.#last ? now : this.#last + 1000n;
    return {
      Type: event.type,
      Action: event.action,
      Actor: { ID: event.id, Attributes: event.attributes ?? {} },
      scope: "local",
      time: Number(this.#last / 1_000_000_000n),
      timeNano: Number(this.#last),
    };
  }

  /** Nobody is there to be told, and news that a full disk does not take must not end the daemon. */
  #storeOrDrop(): void {
    try {
      this.#store();
    } catch {
      return;
    }
  }

  #store(): void {
    const batch = this.#pending;
    if (batch.length === 0) return;
    this.#pending = [];
    this.#db.write((tx) => {
      for (const event of batch)
        tx.run("INSERT INTO events (at, body) VALUES (?, ?)", [event.timeNano, JSON.stringify(event)]);
      tx.run("DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?", [kept]);
    });
  }
}

/** Docker's event filters: values of one key are alternatives, keys add up; names match as well as ids. */
export function matches(filter: EventFilter, event: EventMessage): boolean {
  for (const [key, values] of filter) {
    if (values.length > 0 && !values.some((value) => matchesOne(key, value, event))) return false;
  }
  return true;
}

function matchesOne(key: string, value: string, event: EventMessage): boolean {
  const { ID, Attributes } = event.Actor;
  switch (key) {
    case "type":
      return event.Type === value;
    case "event":
      return event.Action === value || event.Action.startsWith(`${value}:`);
    case "scope":
      return event.scope === value;
    case "label": {
      const [name = "", wanted] = splitOnce(value, "=");
      return Object.hasOwn(Attributes, name) && (wanted === undefined || Attributes[name] === wanted);
    }
    case "image":
      return (
        (event.Type === "image" && (ID === value || Attributes["name"] === value)) || Attributes["image"] === value
      );
    case "container":
    case "network":
    case "volume":
    case "daemon":
      return event.Type === key && (ID === value || ID.startsWith(value) || Attributes["name"] === value);
    default:
      return false;
  }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
