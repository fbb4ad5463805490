import type { Db } from "../db/mod.ts";
import type { EventMessage, Filters } from "../wire/mod.ts";
import { type EventTest, eventTest } from "./filter.ts";
import { defaultLimits, EventLog, type LoggedEvent, type LogLimits, pageSize } from "./log.ts";

/**
 * The bus and its log. Publish only from `tx.afterCommit`, so that nobody hears of what did not happen.
 *
 * Everything published is written to the database, which keeps the last million events, at most 512 MiB of them and none for
 * longer than 90 days.
 * Listeners have no queues: each has a place in the log and reads on from there, from memory where it keeps up and from disk
 * where it does not. So a slow one loses nothing (but what the log itself has let go), and one that stops costs nothing.
 */
export interface Events extends Disposable {
  publish(event: EngineEvent): void;
  /**
   * Events that match, oldest first, in portions: what the log has from `since` on, then what happens from this call on.
   * Ends at `until`, or when the signal aborts. Throws "invalid" for a filter that Docker does not have.
   */
  follow(span: EventSpan): AsyncIterable<readonly EventMessage[]>;
  /** How many are following. */
  readonly listeners: number;
}

export interface EngineEvent {
  readonly type: "container" | "image" | "network" | "volume" | "daemon" | "builder";
  readonly action: string;
  readonly id: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface EventSpan {
  readonly filter: Filters;
  /** Nanoseconds since 1970, both inclusive; undefined: nothing of the past, no end. */
  readonly since?: bigint | undefined;
  readonly until?: bigint | undefined;
  readonly signal: AbortSignal;
}

export function createEvents(db: Db, limits: LogLimits = defaultLimits): Events {
  return new EventBus(new EventLog(db, limits));
}

/** One that follows, and waits for news. */
interface Listener {
  wake(): void;
}

/** The longest that a timer can be set to, in milliseconds. */
const longestTimer = 2 ** 31 - 1;

class EventBus implements Events {
  readonly #log: EventLog;
  readonly #listeners = new Set<Listener>();

  constructor(log: EventLog) {
    this.#log = log;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  publish({ type, action, id, attributes = {} }: EngineEvent): void {
    this.#log.append({ Type: type, Action: action, Actor: { ID: id, Attributes: attributes }, scope: "local" });
    for (const listener of this.#listeners) listener.wake();
  }

  follow(span: EventSpan): AsyncIterable<readonly EventMessage[]> {
    const matches = eventTest(span.filter);
    const place = span.since === undefined ? this.#log.newest : this.#log.before(span.since);
    return this.#read(place, { ...span, matches });
  }

  async *#read(
    start: number,
    span: EventSpan & { readonly matches: EventTest },
  ): AsyncGenerator<readonly EventMessage[]> {
    const listener: Listener = { wake: () => undefined };
    const leave = () => listener.wake();
    this.#listeners.add(listener);
    span.signal.addEventListener("abort", leave, { once: true });
    try {
      for (let place = start; !span.signal.aborted; ) {
        const page = this.#log.after(place);
        place = page.at(-1)?.seq ?? place;
        const found = within(page, span);
        if (found.length > 0) yield found;
        if (isOver(page, span.until)) return;
        if (page.length === 0) await untilNews(listener, span.until);
        // Who reads a long past takes turns with everybody else.
        else if (page.length === pageSize) await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      span.signal.removeEventListener("abort", leave);
      this.#listeners.delete(listener);
    }
  }

  [Symbol.dispose](): void {
    this.#log.flush();
  }
}

function within(page: readonly LoggedEvent[], span: EventSpan & { readonly matches: EventTest }): EventMessage[] {
  const { since = 0n, until, matches } = span;
  const inTime = (at: bigint) => at >= since && (until === undefined || at <= until);
  return page.map(({ message }) => message).filter((one) => inTime(BigInt(one.timeNano)) && matches(one));
}

/** With no more events in the log once the time has come, or with one from after it. */
function isOver(page: readonly LoggedEvent[], until: bigint | undefined): boolean {
  if (until === undefined) return false;
  const last = page.at(-1);
  return last ? BigInt(last.message.timeNano) > until : BigInt(Date.now()) * 1_000_000n >= until;
}

/** Until something is published, the listener leaves, or its time has come. */
async function untilNews(listener: Listener, until: bigint | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const left = until === undefined ? undefined : Number(until / 1_000_000n) + 1 - Date.now();
  const timer = left === undefined ? undefined : setTimeout(resolve, Math.min(Math.max(left, 0), longestTimer));
  listener.wake = resolve;
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    listener.wake = () => undefined;
  }
}
