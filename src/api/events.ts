import { EngineError } from "../errors/mod.ts";
import type { Events } from "../events/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import { decodeFilters, type EventMessage, parseInstant, queryText } from "../wire/mod.ts";
import { now } from "./clock.ts";

type EventSource = Pick<Events, "follow">;

export function eventRoutes(events: EventSource): Route[] {
  return [{ method: "GET", path: "/events", handle: (request) => listen(events, request) }];
}

function listen(events: EventSource, { query, signal }: HttpRequest): Reply {
  const [since, until] = [instant(query, "since"), instant(query, "until")];
  if (since !== undefined && until !== undefined && until < since)
    throw new EngineError(
      "invalid",
      `\`since\` time (${query.get("since")}) cannot be after \`until\` time (${query.get("until")})`,
    );
  // Without `since`, an `until` still means: what there was, up to then.
  const from = since ?? (until === undefined ? undefined : 0n);
  const followed = events.follow({ filter: decodeFilters(query), since: from, until, signal });
  return { kind: "stream", status: 200, type: "application/json", bytes: lines(followed) };
}

function instant(query: URLSearchParams, name: string): bigint | undefined {
  const text = queryText(query, name);
  return text === undefined ? undefined : parseInstant(text, now());
}

async function* lines(followed: AsyncIterable<readonly EventMessage[]>): AsyncGenerator<Uint8Array> {
  for await (const portion of followed) yield Buffer.from(portion.map(line).join(""));
}

/** With the three fields of API 1.21 that dockerd still sends for containers and images. */
function line(event: EventMessage): string {
  const { Type, Action, Actor } = event;
  const from = Type === "container" && Actor.Attributes["image"];
  const legacy = Type === "container" || Type === "image" ? { status: Action, id: Actor.ID } : {};
  return `${JSON.stringify({ ...legacy, ...(from && { from }), ...event })}\n`;
}
