import { afterEach, beforeEach, expect, test } from "bun:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Db, openDb } from "../../db/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { createLog } from "../../log/mod.ts";
import { control } from "../../proto/mod.ts";
import { StatusFeed } from "../status.ts";
import type { BuildOutcome } from "./complete.ts";
import { BuildHistory } from "./history.ts";
import { buildKitMigrations } from "./table.ts";

let db: Db;
let history: BuildHistory;
let clock: number;
let said: string;
const open = () => {
  const log = createLog("warn", (line) => {
    said += line;
  });
  return new BuildHistory({ db, log, now: () => new Date(clock) });
};
beforeEach(() => {
  db = openDb(":memory:", buildKitMigrations);
  clock = 1_700_000_000_000;
  said = "";
  history = open();
});
afterEach(() => db[Symbol.dispose]());

type Request = MessageInitShape<typeof control.SolveRequestSchema>;
const nothing: BuildOutcome = { exporterResponse: {} };

/** A build that takes a second. */
function build(request: Request, work: () => Promise<BuildOutcome> = async () => nothing, signal?: AbortSignal) {
  const feed = new StatusFeed(request.ref ?? "");
  const recording = {
    request: create(control.SolveRequestSchema, request),
    feed,
    signal: signal ?? AbortSignal.any([]),
  };
  return history.record(recording, async () => {
    try {
      feed.own("step").end();
      clock += 1000;
      return await work();
    } finally {
      feed.close();
    }
  });
}

type Asked = MessageInitShape<typeof control.BuildHistoryRequestSchema>;
function listen(asked: Asked, signal: AbortSignal = AbortSignal.any([])) {
  return history.listen(create(control.BuildHistoryRequestSchema, asked), signal);
}
async function refs(asked: Asked = {}): Promise<string[]> {
  const events = await Array.fromAsync(listen({ earlyExit: true, ...asked }));
  return events.map(({ type, record }) => `${["started", "complete", "deleted"][type]} ${record?.ref}`);
}
const update = (asked: MessageInitShape<typeof control.UpdateBuildHistoryRequestSchema>) =>
  history.update(create(control.UpdateBuildHistoryRequestSchema, asked));
async function only(ref: string) {
  const [event] = await Array.fromAsync(listen({ ref, earlyExit: true }));
  return event?.record;
}

test("a build leaves a record with what it was asked and what it came to, also for the next daemon", async () => {
  const exporters = [{ type: "image", attrs: { name: "app:1" } }];
  const frontendAttrs = { target: "t", context: "https://u:p@h/a.git" };
  const exporterResponse = { "image.name": "app:1" };
  const predicateType = "https://slsa.dev/provenance/v1";
  const one = { predicateType, predicate: Buffer.from('{"a":1}') };
  const provenance = [one, { ...one, platform: "linux/arm64" }];
  const outcome = { exporterResponse, provenance };
  expect(await build({ ref: "r", frontend: "dockerfile.v0", frontendAttrs, exporters }, async () => outcome)).toBe(
    outcome,
  );
  history = open();
  const record = await only("r");
  expect(record).toMatchObject({
    ...{ ref: "r", frontend: "dockerfile.v0", exporterResponse, generation: 0, pinned: false, numWarnings: 0 },
    frontendAttrs: { target: "t", context: "https://h/a.git" },
    exporters: [{ type: "image", attrs: { name: "app:1" } }],
    createdAt: { seconds: 1_700_000_000n },
    completedAt: { seconds: 1_700_000_001n },
    ...{ numTotalSteps: 1, numCachedSteps: 0, numCompletedSteps: 1 },
    logs: { mediaType: "application/vnd.buildkit.status.v0" },
    result: {
      attestations: [
        {
          mediaType: "application/vnd.in-toto+json",
          annotations: { "in-toto.io/predicate-type": predicateType },
        },
      ],
    },
    results: { "linux/arm64": { attestations: [{ size: 7n }] } },
  });
  expect(record?.error).toBeUndefined();
  const [attestation] = record?.result?.attestations ?? [];
  expect(Buffer.from((await history.blob(attestation?.digest ?? "")) ?? []).toString()).toBe('{"a":1}');
  expect(history.blobSize(record?.logs?.digest ?? "")).toBe(Number(record?.logs?.size));
  const [first] = [...((await history.status("r")) ?? [])];
  expect(first?.vertexes[0]?.name).toBe("step");
  expect([await history.status("other"), await history.blob("x"), history.blobSize("x")]).toEqual([
    ...[undefined, undefined, undefined],
  ]);
});

test("how a build failed is in its record, and its caller's", async () => {
  const fails = (ref: string, err: Error, signal?: AbortSignal) =>
    build({ ref }, () => Promise.reject(err), signal).catch((reason) => expect(reason).toBe(err) as unknown);
  await fails("broke", new EngineError("invalid", "https://u:p@h/ broke"));
  await fails("long", new EngineError("not-implemented", "x".repeat(100_000)));
  await fails("left", new EngineError("canceled", "the client went"));
  await fails("context canceled", new EngineError("internal", "context canceled"), AbortSignal.abort());
  expect((await only("broke"))?.error).toMatchObject({ code: 2, message: "https://h/ broke" });
  expect((await only("long"))?.error).toMatchObject({ code: 12, message: `${"x".repeat(16_384)}…` });
  expect((await only("left"))?.error).toMatchObject({ code: 1, message: "the client went: context canceled" });
  expect((await only("context canceled"))?.error).toMatchObject({ code: 1, message: "context canceled" });
});

test("no record: of internal builds, and of those without a name or with one that is too long", async () => {
  for (const request of [{ ref: "r", internal: true }, { ref: "" }, { ref: "r".repeat(257) }])
    expect(await build(request)).toBe(nothing);
  expect(await refs()).toEqual([]);
});

test("builds under way come first, then those that were, the last one first; by reference, filter and limit", async () => {
  for (const ref of ["a", "b", "c"]) await build({ ref });
  const going = Promise.withResolvers<BuildOutcome>();
  const running = build({ ref: "d" }, () => going.promise);
  expect(await refs()).toEqual(["started d", "complete c", "complete b", "complete a"]);
  expect(await refs({ activeOnly: true })).toEqual(["started d"]);
  expect(await refs({ ref: "b" })).toEqual(["complete b"]);
  expect(await refs({ ref: "d" })).toEqual(["started d"]);
  expect(await refs({ ref: "e" })).toEqual([]);
  expect(await refs({ limit: 2 })).toEqual(["started d", "complete c", "complete b"]);
  expect(await refs({ filter: ["ref!=c"], limit: 1 })).toEqual(["started d", "complete b"]);
  await expect(refs({ limit: -1 })).rejects.toThrow("invalid limit -1");
  await expect(refs({ filter: ["="] })).rejects.toThrow("failed to parse history filter");
  going.resolve(nothing);
  await running;
  expect(await refs({ activeOnly: true })).toEqual([]);
});

test("who listens hears what becomes of builds, as it was when it happened", async () => {
  const stop = new AbortController();
  const seen: (string | undefined)[] = [];
  const hear = async (asked: Asked) => {
    for await (const { type, record } of listen(asked, stop.signal))
      seen.push(`${type} ${record?.ref} ${record?.completedAt ? "over" : ""}${record?.pinned ? " pinned" : ""}`);
  };
  const hearing = [hear({}), hear({ ref: "b", activeOnly: true })];
  await build({ ref: "a" });
  await build({ ref: "b" });
  update({ ref: "a", pinned: true });
  update({ ref: "a", delete: true });
  await Bun.sleep(5);
  stop.abort();
  await Promise.all(hearing);
  expect(seen.toSorted()).toEqual(
    ["0 a ", "0 b ", "0 b ", "1 a over", "1 a over pinned", "1 b over", "1 b over", "2 a "].toSorted(),
  );
});

test("who is too slow for the events is told so", async () => {
  const reader = listen({ filter: ["status==none"] });
  const first = reader.next();
  await build({ ref: "r" });
  await first;
  for (let at = 0; at < 300; at++) update({ ref: "r", pinned: at % 2 === 0 });
  await expect(Array.fromAsync(reader)).rejects.toThrow("too slow for the builds that there are");
});

test("pinned, let go, finished and deleted; not what is not there or not over", async () => {
  await build({ ref: "r" });
  update({ ref: "r", pinned: true });
  expect(await only("r")).toMatchObject({ pinned: true, generation: 1, logs: { size: expect.anything() } });
  update({ ref: "r", pinned: false });
  expect(await only("r")).toMatchObject({ pinned: false, generation: 2 });
  update({ ref: "r", finalize: true });
  update({ ref: "none", finalize: true });
  expect(await only("r")).toMatchObject({ generation: 2 });
  const { digest = "" } = (await only("r"))?.logs ?? {};
  update({ ref: "r", delete: true });
  expect([await refs(), history.blobSize(digest)]).toEqual([[], undefined]);
  const going = Promise.withResolvers<BuildOutcome>();
  const running = build({ ref: "r" }, () => going.promise);
  for (const asked of [{ delete: true }, { pinned: true }])
    expect(() => update({ ref: "r", ...asked })).toThrow("no record of a build r that is over");
  going.resolve(nothing);
  await running;
});

test("a build of the same name takes the record's place", async () => {
  await build({ ref: "r", frontendAttrs: { target: "one" } });
  await build({ ref: "r", frontendAttrs: { target: "two" } });
  expect(await refs()).toEqual(["complete r"]);
  expect((await only("r"))?.frontendAttrs).toEqual({ target: "two" });
});

test("what is outdated goes after a build and at the start, but not what is pinned", async () => {
  for (let at = 0; at < 52; at++) await build({ ref: `r${at}` });
  update({ ref: "r0", pinned: true });
  clock += 49 * 3600 * 1000;
  const stop = new AbortController();
  const heard = Array.fromAsync(listen({ activeOnly: true }, stop.signal));
  await build({ ref: "new" });
  await Bun.sleep(5);
  stop.abort();
  expect((await heard).map(({ type, record }) => `${type} ${record?.ref}`)).toEqual(["0 new", "1 new", "2 r2", "2 r1"]);
  clock += 49 * 3600 * 1000;
  db.write((tx) => tx.run("UPDATE build_history SET pinned = 0"));
  history = open();
  expect((await refs()).length).toBe(50);
});

test("so many go at once that who listens can follow", async () => {
  for (let at = 0; at < 150; at++) await build({ ref: `r${at}` });
  clock += 49 * 3600 * 1000;
  const stop = new AbortController();
  const heard = Array.fromAsync(listen({ activeOnly: true }, stop.signal));
  await build({ ref: "one" });
  expect((await refs()).length).toBe(87);
  await build({ ref: "two" });
  expect(await refs()).toHaveLength(50);
  stop.abort();
  expect((await heard).filter(({ type }) => type === 2)).toHaveLength(102);
});

test("no more is pinned than there is room for", async () => {
  await build({ ref: "r" });
  db.write((tx) => tx.run("INSERT INTO build_history VALUES ('big', 1, 1, 1, zeroblob(33554432))"));
  expect(() => update({ ref: "r", pinned: true })).toThrow("build r cannot be pinned");
});

test("a record that cannot be written is no failure of the build's", async () => {
  db.write((tx) => tx.run("DROP TABLE build_history_blobs"));
  expect(await build({ ref: "r" })).toBe(nothing);
  expect(said).toContain("The record of a build cannot be kept");
  expect(await refs({ activeOnly: true })).toEqual([]);
});
