import { expect, test } from "bun:test";
import { openDb } from "../db/mod.ts";
import type { EventMessage } from "../wire/mod.ts";
import { matches } from "./events.ts";
import { createEvents, eventsMigrations } from "./mod.ts";

const filter = (entries: Record<string, string[]> = {}) => new Map(Object.entries(entries));
const start = {
  type: "container",
  action: "start",
  id: "abc123",
  attributes: { name: "web", image: "nginx", tier: "front" },
} as const;

test("a subscriber gets what matches from the moment it asks, until it goes", async () => {
  using db = openDb(":memory:", eventsMigrations);
  const events = createEvents(db);
  const abort = new AbortController();
  const got: string[] = [];
  const reading = (async () => {
    for await (const event of events.subscribe(filter({ event: ["start"] }), abort.signal)) got.push(event.Actor.ID);
  })();
  await Bun.sleep(0);
  expect(events.listeners).toBe(1);
  events.publish(start);
  events.publish({ ...start, action: "die" });
  events.publish({ ...start, id: "def" });
  await Bun.sleep(0);
  abort.abort();
  await reading;
  expect(got).toEqual(["abc123", "def"]);
  expect(events.listeners).toBe(0);
});

test("stored events come back in order from an instant on, and instants never repeat", () => {
  using db = openDb(":memory:", eventsMigrations);
  const events = createEvents(db);
  for (const id of ["a", "b", "c"]) events.publish({ ...start, id });
  const all = events.since(filter(), 0n);
  expect(all.map(({ Actor }) => Actor.ID)).toEqual(["a", "b", "c"]);
  expect(new Set(all.map(({ timeNano }) => timeNano)).size).toBe(3);
  expect(events.since(filter({ container: ["b"] }), 0n)).toHaveLength(1);
  expect(events.since(filter(), BigInt(Date.now() + 60_000) * 1_000_000n)).toEqual([]);
});

test.each([
  [{ type: ["container", "image"] }, true],
  [{ type: ["image"] }, false],
  [{ event: ["start"] }, true],
  [{ container: ["web"] }, true],
  [{ container: ["abc"] }, true],
  [{ container: ["other"] }, false],
  [{ image: ["nginx"] }, true],
  [{ label: ["tier"] }, true],
  [{ label: ["tier=front"] }, true],
  [{ label: ["tier=back"] }, false],
  [{ label: ["constructor"] }, false],
  [{ type: ["container"], event: ["die"] }, false],
  [{ scope: ["local"] }, true],
  [{ unheard: ["of"] }, false],
])("%p matches: %p", (wanted, expected) => {
  const event: EventMessage = {
    Type: start.type,
    Action: start.action,
    Actor: { ID: start.id, Attributes: start.attributes },
    scope: "local",
    time: 1,
    timeNano: 1,
  };
  expect(matches(filter(wanted as Record<string, string[]>), event)).toBe(expected);
});

test("a subscriber that does not read is cut off", async () => {
  using db = openDb(":memory:", eventsMigrations);
  const events = createEvents(db);
  const received = events.subscribe(filter(), new AbortController().signal)[Symbol.asyncIterator]();
  const first = received.next();
  for (let sent = 0; sent < 100_010; sent++) events.publish({ type: "image", action: "pull", id: String(sent) });
  expect((await first).value?.Actor.ID).toBe("0");
  let count = 1;
  const rest = (async () => {
    for (let one = await received.next(); !one.done; one = await received.next()) count++;
  })();
  await expect(rest).rejects.toThrow("were not read");
  expect(count).toBeLessThanOrEqual(100_001);
});

test("a database that takes nothing more is nobody's end", async () => {
  const db = openDb(":memory:", eventsMigrations);
  const events = createEvents(db);
  const abort = new AbortController();
  const next = events.subscribe(filter(), abort.signal)[Symbol.asyncIterator]().next();
  db[Symbol.dispose]();
  events.publish(start);
  expect((await next).value?.Action).toBe("start");
  abort.abort();
});
