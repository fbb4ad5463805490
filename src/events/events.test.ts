import { expect, test } from "bun:test";
import { type Db, openDb } from "../db/mod.ts";
import type { EventMessage } from "../wire/mod.ts";
import { eventTest } from "./filter.ts";
import { defaultLimits } from "./log.ts";
import { createEvents, type EventSpan, type Events, eventsMigrations } from "./mod.ts";
import { storedEvents } from "./testing/stored.ts";

const filter = (entries: Record<string, string[]> = {}) => new Map(Object.entries(entries));
const start = {
  type: "container",
  action: "start",
  id: "abc123",
  attributes: { name: "web", image: "nginx:1", tier: "front" },
} as const;

const memory = () => openDb(":memory:", eventsMigrations);
const nanoseconds = () => BigInt(Date.now()) * 1_000_000n;
const never = new AbortController().signal;

/** The ids of what is followed, until there are `most` of them. */
async function ids(events: Events, span: Partial<EventSpan>, most = Number.POSITIVE_INFINITY): Promise<string[]> {
  const found: string[] = [];
  for await (const portion of events.follow({ filter: filter(), signal: never, ...span })) {
    found.push(...portion.map(({ Actor }) => Actor.ID));
    if (found.length >= most) break;
  }
  return found;
}

function publishMany(events: Events, { from, to }: { from: number; to: number }): void {
  for (let id = from; id < to; id++) events.publish({ type: "image", action: "pull", id: String(id) });
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => String(from + at));

test("a listener gets what matches from the moment it asks, until it goes", async () => {
  using db = memory();
  using events = createEvents(db);
  const abort = new AbortController();
  events.publish({ ...start, id: "before" });
  const reading = ids(events, { filter: filter({ event: ["start"] }), signal: abort.signal });
  expect(events.listeners).toBe(1);
  events.publish(start);
  events.publish({ ...start, action: "die" });
  await Bun.sleep(1);
  events.publish({ ...start, id: "def" });
  await Bun.sleep(1);
  abort.abort();
  expect(await reading).toEqual(["abc123", "def"]);
  expect(events.listeners).toBe(0);
});

test("the past and the present join without a gap or a repetition", async () => {
  using db = memory();
  using events = createEvents(db);
  publishMany(events, { from: 0, to: 3000 });
  const reading = ids(events, { since: 0n }, 3600);
  for (let at = 3000; at < 3600; at += 100) {
    publishMany(events, { from: at, to: at + 100 });
    await Bun.sleep(0);
  }
  expect(await reading).toEqual(numbers(0, 3600));
});

test("since and until are instants, both inclusive, and instants never repeat", async () => {
  using db = memory();
  using events = createEvents(db);
  publishMany(events, { from: 0, to: 1000 });
  const at = storedEvents(events, db).map(({ timeNano }) => BigInt(timeNano));
  expect(new Set(at).size).toBe(1000);
  expect(await ids(events, { since: at[300] ?? 0n, until: at[302] ?? 0n })).toEqual(["300", "301", "302"]);
  expect(await ids(events, { since: 0n, until: at[1] ?? 0n })).toEqual(["0", "1"]);
  expect(await ids(events, { since: nanoseconds() + 60_000_000_000n, until: nanoseconds() })).toEqual([]);
});

test("until an instant that is to come, news is waited for", async () => {
  using db = memory();
  using events = createEvents(db);
  const reading = ids(events, { until: nanoseconds() + 100_000_000n });
  events.publish(start);
  expect(await reading).toEqual(["abc123"]);
});

test("one that does not read loses nothing, and finds what it missed on disk", async () => {
  using db = memory();
  using events = createEvents(db);
  const received = events.follow({ filter: filter(), signal: never })[Symbol.asyncIterator]();
  const first = received.next();
  publishMany(events, { from: 0, to: 20_000 });
  const found = ((await first).value as EventMessage[]).map(({ Actor }) => Actor.ID);
  while (found.length < 20_000) {
    const { value } = await received.next();
    found.push(...(value as EventMessage[]).map(({ Actor }) => Actor.ID));
  }
  expect(found).toEqual(numbers(0, 20_000));
});

test("the log outlives its program, and goes on from where it was", async () => {
  using db = memory();
  {
    using events = createEvents(db);
    publishMany(events, { from: 0, to: 10 });
  }
  using events = createEvents(db);
  publishMany(events, { from: 10, to: 12 });
  expect(await ids(events, { since: 0n }, 12)).toEqual(numbers(0, 12));
  const at = storedEvents(events, db).map(({ timeNano }) => timeNano);
  expect(at).toEqual(at.toSorted((a, b) => a - b));
});

test("the log is bounded by size", () => {
  using db = memory();
  for (const round of [0, 1]) {
    using events = createEvents(db, { ...defaultLimits, bytes: 300_000 });
    publishMany(events, { from: 5000 * round, to: 5000 * (round + 1) });
    const stored = storedEvents(events, db);
    const size = stored.reduce((sum, one) => sum + JSON.stringify(one).length, 0);
    expect(size).toBeLessThan(500_000);
    expect(size).toBeGreaterThan(300_000);
    expect(stored.at(-1)?.Actor.ID).toBe(String(5000 * (round + 1) - 1));
  }
});

test("the log is bounded by number and by age", () => {
  using db = memory();
  {
    using events = createEvents(db, { ...defaultLimits, events: 1000 });
    publishMany(events, { from: 0, to: 5000 });
    const stored = storedEvents(events, db);
    expect(stored.length).toBeLessThan(2000);
    expect(stored.at(-1)?.Actor.ID).toBe("4999");
  }
  db.write((tx) => tx.run("UPDATE events SET at = 1 WHERE seq < 4900"));
  using events = createEvents(db);
  publishMany(events, { from: 5000, to: 6000 });
  const seqs = db.read((q) => q.all<{ seq: number }>("SELECT seq FROM events WHERE at = 1"));
  expect(seqs).toEqual([]);
  expect(storedEvents(events, db).at(-1)?.Actor.ID).toBe("5999");
});

test("a long past leaves room for others", async () => {
  using db = memory();
  using events = createEvents(db);
  publishMany(events, { from: 0, to: 10_000 });
  let turns = 0;
  const turning = setInterval(() => turns++, 0);
  await ids(events, { since: 0n, until: nanoseconds(), filter: filter({ event: ["nothing"] }) });
  clearInterval(turning);
  expect(turns).toBeGreaterThan(3);
});

test("a database that takes nothing more is nobody's end", async () => {
  const db: Db = memory();
  const events = createEvents(db);
  const reading = ids(events, {}, 1);
  db[Symbol.dispose]();
  events.publish(start);
  expect(await reading).toEqual(["abc123"]);
});

test("a filter that Docker does not have is refused at once", () => {
  using db = memory();
  using events = createEvents(db);
  expect(() => events.follow({ filter: filter({ unheard: ["of"] }), signal: never })).toThrow(
    "invalid filter 'unheard'",
  );
});

test.each([
  [{ type: ["container", "image"] }, true],
  [{ type: ["image"] }, false],
  [{ event: ["start"] }, true],
  [{ event: ["sta"] }, false],
  [{ event: ["sta", "exec_create"] }, true],
  [{ container: ["web"] }, true],
  [{ container: ["we"] }, true],
  [{ container: ["abc"] }, true],
  [{ container: ["eb"] }, false],
  [{ container: ["other"] }, false],
  [{ container: [] }, true],
  [{ network: ["web"] }, false],
  [{ service: ["web"] }, false],
  [{ node: ["web"] }, false],
  [{ image: ["nginx:1"] }, true],
  [{ image: ["nginx"] }, true],
  [{ image: ["ngin"] }, false],
  [{ label: ["tier"] }, true],
  [{ label: ["tier=front"] }, true],
  [{ label: ["tier=back"] }, false],
  [{ label: ["tier", "other"] }, false],
  [{ label: ["constructor"] }, false],
  [{ type: ["container"], event: ["die"] }, false],
  [{ scope: ["local"] }, true],
  [{ scope: ["swarm"] }, false],
])("%p matches: %p", (wanted, expected) => {
  const event: EventMessage = {
    Type: start.type,
    Action: start.action,
    Actor: { ID: start.id, Attributes: start.attributes },
    scope: "local",
    time: 1,
    timeNano: 1,
  };
  expect(eventTest(filter(wanted as Record<string, string[]>))(event)).toBe(expected);
});

test.each([
  ["exec_create: sh -c true", "exec_create", true],
  ["health_status: healthy", "health_status", true],
  ["health_status: healthy", "health_status: healthy", true],
  ["health_status: healthy", "health_status: unhealthy", false],
  ["exec_die", "exec", false],
])("the action %p matches %p: %p", (Action, wanted, expected) => {
  const event: EventMessage = {
    ...{ Type: "container", Action, Actor: { ID: "a", Attributes: {} }, scope: "local", time: 1, timeNano: 1 },
  };
  expect(eventTest(filter({ event: [wanted] }))(event)).toBe(expected);
});
