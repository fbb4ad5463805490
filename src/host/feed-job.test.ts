import { afterAll, expect, test } from "bun:test";
import { EngineError } from "../errors/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import { feedJob } from "./feed-job.ts";
import { testJobs as jobs } from "./testing/jobs.ts";
import { createWorkers } from "./workers.ts";

const workers = createWorkers({ size: 1, entry: new URL("./testing/worker.ts", import.meta.url).href });
afterAll(() => workers[Symbol.asyncDispose]());

const feed = (bytes: Bytes, failAfter = -1, signal?: AbortSignal) =>
  feedJob(workers, jobs.sum, { input: { failAfter }, bytes, ...(signal && { signal }) });

async function* pieces(...sizes: readonly number[]): Bytes {
  for (const [at, size] of sizes.entries()) yield Buffer.alloc(size, at + 1);
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => "it worked",
    (err: Error) => err.message,
  );

test("bytes arrive whole and in order, in pieces of any size", async () => {
  expect(await feed(pieces())).toEqual({ size: 0, sum: 0 });
  expect(await feed(pieces(0, 3, 1))).toEqual({ size: 4, sum: 2 * 3 + 3 });
  const many = Array.from({ length: 50 }, () => 700_001);
  const sum = many.reduce((total, size, at) => total + size * (at + 1), 0);
  expect(await feed(pieces(...many))).toEqual({ size: 50 * 700_001, sum });
});

test("a source that fails fails the job, and the caller sees why", async () => {
  const broken = async function* () {
    yield Buffer.alloc(10);
    throw new EngineError("canceled", "the client has gone");
  };
  expect(await failure(feed(broken()))).toBe("the client has gone");
  expect(await feed(pieces(5))).toEqual({ size: 5, sum: 5 });
});

test("a job that fails lets go of a source that goes on for ever, or says nothing", async () => {
  let left = 0;
  const endless = async function* () {
    try {
      for (;;) yield Buffer.alloc(300_000);
    } finally {
      left++;
    }
  };
  expect(await failure(feed(endless(), 1_000_000))).toBe("enough");
  expect(left).toBe(1);
  const silent = async function* () {
    yield Buffer.alloc(10);
    await new Promise(() => undefined);
  };
  expect(await failure(feed(silent(), 5))).toBe("enough");
});

test("senders that have said nothing hold up nobody", async () => {
  const silence = new AbortController();
  const silent: Bytes = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }) };
  const waiting = Array.from({ length: 100 }, () => failure(feed(silent, -1, silence.signal)));
  expect(await feed(pieces(5))).toEqual({ size: 5, sum: 5 });
  silence.abort(new Error("enough of it"));
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(["enough of it"]));
});

test("an abort ends a job that waits for bytes", async () => {
  const abort = new AbortController();
  const silent = async function* () {
    yield Buffer.alloc(10);
    abort.abort(new Error("left"));
    await new Promise(() => undefined);
  };
  expect(await failure(feed(silent(), -1, abort.signal))).toBe("left");
});
