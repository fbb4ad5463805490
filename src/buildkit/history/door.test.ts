import { afterAll, beforeAll, expect, test } from "bun:test";
import { failedAt } from "../../builder/testing/failed-at.ts";
import { type Db, openDb } from "../../db/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { Code, callOver } from "../../grpc/mod.ts";
import { digestOf } from "../../oci/mod.ts";
import { content, control } from "../../proto/mod.ts";
import { hijacked, openSession } from "../testing/client.ts";
import { client, context, methods, openDoor, type TestDoor, told } from "../testing/door.ts";
import { statusResponses } from "./status-log.ts";
import { buildKitMigrations } from "./table.ts";

let db: Db;
let door: TestDoor;
beforeAll(async () => {
  db = openDb(":memory:", buildKitMigrations);
  door = await openDoor(db);
});
afterAll(async () => {
  await door[Symbol.asyncDispose]();
  db[Symbol.dispose]();
});

const provenance = { "attest:provenance": "mode=min" };

/** A client with a session, and builds of its own. */
async function connected(to: TestDoor = door) {
  const session = await openSession(to.path, { methods, routes: client({ context, dockerfile: context }) });
  const caller = callOver(await hijacked(to.path, "/grpc"));
  const service = caller.client(control.Control);
  const solve = (ref: string, frontendAttrs: Record<string, string> = {}, signal?: AbortSignal) =>
    service.solve(
      {
        ref,
        session: session.id,
        frontend: "dockerfile.v0",
        frontendAttrs,
        exporter: "moby",
        exporterAttrs: { name: "x" },
      },
      signal && { signal },
    );
  const close = async () => {
    caller[Symbol.dispose]();
    await session[Symbol.asyncDispose]();
  };
  return { service, store: caller.client(content.Content), solve, [Symbol.asyncDispose]: close };
}

test("a build's record, its log and its provenance are read by the Control API, also from the next daemon", async () => {
  {
    await using first = await connected();
    door.act = async ({ observer }) => observer?.output(1, "working\n");
    await first.solve("one", { target: "t", ...provenance });
  }
  await using next = await openDoor(db);
  await using there = await connected(next);
  let time = "";
  const onHeader = (headers: Headers) => {
    time = headers.get("buildkit-current-timestamp") ?? "";
  };
  const events = await Array.fromAsync(there.service.listenBuildHistory({ earlyExit: true }, { onHeader }));
  expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000);
  const [{ type, record } = { type: 0 }] = events;
  expect([events.length, type]).toEqual([1, 1]);
  expect(record).toMatchObject({
    ...{ ref: "one", frontend: "dockerfile.v0", frontendAttrs: { target: "t" }, numCachedSteps: 1 },
    ...{ exporters: [{ type: "moby", attrs: { name: "x" } }], exporterResponse: { "image.name": "x" } },
  });
  const digest = record?.logs?.digest ?? "";
  expect((await there.store.info({ digest })).info).toMatchObject({ digest, size: record?.logs?.size ?? 0n });
  const log = Buffer.concat((await Array.fromAsync(there.store.read({ digest }))).map(({ data }) => data));
  expect(digestOf(log)).toBe(digest as never);
  const shown = { vertices: { "[2/2] RUN work": "done" }, log: "working\n" };
  expect(told([...statusResponses(log)])).toMatchObject(shown);
  expect(told(await Array.fromAsync(there.service.status({ ref: "one" })))).toMatchObject(shown);
  const [attestation] = record?.result?.attestations ?? [];
  const [predicate] = await Array.fromAsync(there.store.read({ digest: attestation?.digest ?? "" }));
  expect(Buffer.from(predicate?.data ?? []).toString()).toBe("{}");
});

test("what failed, and what its client gave up", async () => {
  await using here = await connected();
  door.act = async () => {
    throw failedAt(new EngineError("invalid", "it broke"), { text: "FROM base\n", lines: { line: 1, endLine: 1 } });
  };
  await here.solve("broke").catch(() => undefined);
  const stop = new AbortController();
  door.act = ({ signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      stop.abort();
    });
  const heard = here.service.listenBuildHistory({ ref: "left" })[Symbol.asyncIterator]();
  const first = heard.next();
  await here.solve("left", {}, stop.signal).catch(() => undefined);
  const types = [(await first).value?.type, (await heard.next()).value?.type];
  expect(types).toEqual([0, 1]);
  await heard.return?.();
  const asked = { earlyExit: true, filter: ["status==error", "status==canceled"] };
  const events = await Array.fromAsync(here.service.listenBuildHistory(asked));
  const errors = events.map(({ record }) => [record?.ref, record?.error?.code, record?.error?.message]);
  expect(errors).toEqual([
    ["left", Code.Canceled, expect.stringContaining("context canceled")],
    ["broke", Code.Unknown, "it broke"],
  ]);
  const details = events.map(({ record }) => record?.error?.details.map(({ typeUrl }) => typeUrl.split(".").at(-1)));
  expect(details).toEqual([[], ["Source+json"]]);
});

test("records are pinned and deleted; pieces of what they refer to are read, and nothing else is", async () => {
  await using here = await connected();
  door.act = async () => undefined;
  await here.solve("two");
  const read = async (ref: string) => {
    const events = await Array.fromAsync(here.service.listenBuildHistory({ earlyExit: true, ref }));
    return events[0]?.record;
  };
  await here.service.updateBuildHistory({ ref: "two", pinned: true });
  const { pinned, logs: { digest, size } = { digest: "", size: 0n } } = (await read("two")) ?? {};
  expect(pinned).toBe(true);
  const pieces = (offset: bigint, length: bigint) => Array.fromAsync(here.store.read({ digest, offset, size: length }));
  const all = Buffer.concat((await pieces(0n, 0n)).map(({ data }) => data));
  const [piece] = await pieces(4n, 8n);
  expect([piece?.offset, Buffer.from(piece?.data ?? [])]).toEqual([4n, all.subarray(4, 12)]);
  expect(await pieces(size, 0n)).toEqual([]);
  for (const [offset, length] of [
    [size + 1n, 0n],
    [1n, size],
    [-1n, 1n],
    [0n, -1n],
  ] as const)
    await expect(pieces(offset, length)).rejects.toMatchObject({ code: Code.OutOfRange });
  await here.service.updateBuildHistory({ ref: "two", delete: true });
  expect(await read("two")).toBeUndefined();
  await expect(here.store.info({ digest })).rejects.toMatchObject({ code: Code.NotFound });
  await expect(pieces(0n, 0n)).rejects.toMatchObject({ code: Code.NotFound });
  await expect(here.service.updateBuildHistory({ ref: "two", delete: true })).rejects.toMatchObject({
    rawMessage: "no record of a build two that is over",
  });
  await expect(Array.fromAsync(here.service.listenBuildHistory({ limit: -1 }))).rejects.toMatchObject({
    rawMessage: "invalid limit -1",
  });
});
