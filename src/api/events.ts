import { EngineError } from "../errors/mod.ts";
import type { Events } from "../events/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import { decodeFilters, type EventMessage, type Filters, parseInstant, queryText } from "../wire/mod.ts";
import { now } from "./clock.ts";
import { jsonLine } from "./reply.ts";

type EventSource = Pick<Events, "subscribe" | "since">;

export function eventRoutes(events: EventSource): Route[] {
  return [{ method: "GET", path: "/events", handle: (request) => listen(events, request) }];
}

interface Span {
  readonly filter: Filters;
  /** Nanoseconds since 1970; undefined: nothing of the past, no end. */
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
}

function listen(events: EventSource, { query, signal }: HttpRequest): Reply {
  const [since, until] = [instant(query, "since"), instant(query, "until")];
  if (since !== undefined && until !== undefined && until < since)
    throw new EngineError("invalid", "`since` time cannot be after `until` time");
  // Without `since`, an `until` still means: what there was, up to then.
  const span = { filter: decodeFilters(query), since: since ?? (until === undefined ? undefined : 0n), until };
  const over = AbortSignal.any([signal, ...timeLimit(until)]);
  return { kind: "stream", status: 200, type: "application/json", bytes: replay(events, { ...span, over }) };
}

function instant(query: URLSearchParams, name: string): bigint | undefined {
  const text = queryText(query, name);
  return text === undefined ? undefined : parseInstant(text, now());
}

function timeLimit(until: bigint | undefined): AbortSignal[] {
  if (until === undefined) return [];
  const left = Number((until - now()) / 1_000_000n);
  return [left <= 0 ? AbortSignal.abort() : AbortSignal.timeout(Math.min(left, 2 ** 31 - 1))];
}

/** The past, then the present; listening starts before the past is read, so that nothing falls between them. */
async function* replay(events: EventSource, span: Span & { over: AbortSignal }): AsyncGenerator<Uint8Array> {
  const { filter, since, until, over } = span;
  const live = events.subscribe(filter, over)[Symbol.asyncIterator]();
  let next = live.next();
  let last = -1;
  try {
    for (const event of since === undefined ? [] : events.since(filter, since)) {
      if (until !== undefined && BigInt(event.timeNano) > until) break;
      last = event.timeNano;
      yield line(event);
    }
    for (let item = await next; !item.done; item = await next) {
      next = live.next();
      if (item.value.timeNano > last) yield line(item.value);
    }
  } finally {
    next.catch(() => undefined);
    live.return?.().catch(() => undefined);
  }
}

/** With the three fields of API 1.21 that dockerd still sends for containers and images. */
function line(event: EventMessage): Uint8Array {
  const { Type, Action, Actor } = event;
  const from = Type === "container" && Actor.Attributes["image"];
  const legacy = Type === "container" || Type === "image" ? { status: Action, id: Actor.ID } : {};
  return jsonLine({ ...legacy, ...(from && { from }), ...event });
}
