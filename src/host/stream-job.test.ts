import { afterAll, expect, test } from "bun:test";
import { collect } from "../stream/mod.ts";
import { streamJob } from "./stream-job.ts";
import { testJobs as jobs } from "./testing/jobs.ts";
import { createWorkers } from "./workers.ts";

const workers = createWorkers({ size: 1, entry: new URL("./testing/worker.ts", import.meta.url).href });
afterAll(() => workers[Symbol.asyncDispose]());

const start = (input: { pieces: number; size: number; fail?: boolean }, signal?: AbortSignal) =>
  streamJob(workers, jobs.stream, { input: { fail: false, ...input }, ...(signal && { signal }) });

test("bytes arrive whole and in order, with the job's result", async () => {
  for (const [pieces, size] of [
    [0, 0],
    [3, 5],
    [100, 100_001],
    [4, 262_144],
  ] as const) {
    const { bytes, done } = start({ pieces, size });
    const expected = Buffer.concat(Array.from({ length: pieces }, (_, nr) => Buffer.alloc(size, nr)));
    expect((await collect(bytes, 1 << 26)).equals(expected)).toBe(true);
    expect(await done).toBe("done");
  }
});

test("a failing job fails the reader, after what it wrote", async () => {
  const { bytes, done } = start({ pieces: 1, size: 300_000, fail: true });
  let size = 0;
  const reading = (async () => {
    for await (const piece of bytes) size += piece.length;
  })();
  expect(await reading.catch((err: unknown) => err)).toMatchObject({ kind: "invalid", message: "half way" });
  expect(size).toBe(262_144);
  expect(await done.catch((err: unknown) => err)).toMatchObject({ kind: "invalid" });
});

test("a job waits for a reader that stops, and an abort ends both", async () => {
  const { bytes, done } = start({ pieces: 100_000, size: 1_000_000 });
  for await (const _ of bytes) break;
  expect(await done.catch((err: unknown) => (err as Error).name)).toBe("AbortError");
  const abort = new AbortController();
  const aborted = start({ pieces: 100_000, size: 1_000_000 }, abort.signal);
  const reading = (async () => {
    for await (const _ of aborted.bytes) abort.abort();
  })();
  expect(await reading.catch((err: unknown) => (err as Error).name)).toBe("AbortError");
});
