import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { testJobs as jobs } from "./testing/jobs.ts";
import { createWorkers } from "./workers.ts";

const entry = new URL("./testing/worker.ts", import.meta.url).href;
const workers = createWorkers({ size: 2, entry });
const scratch = mkdtempSync(join(tmpdir(), "berth-workers-"));

afterAll(async () => {
  await workers[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true });
});

test("jobs run by name, more of them than threads", async () => {
  const inputs = Array.from({ length: 20 }, (_, a) => ({ a, b: 1 }));
  const sums = await Promise.all(inputs.map((input) => workers.run(jobs.add, input)));
  expect(sums).toEqual(inputs.map(({ a }) => a + 1));
});

test("errors keep their kind and message", async () => {
  const failing = workers.run(jobs.fail, { kind: "conflict", message: "Name is taken" });
  expect(await failing.catch((err: unknown) => err)).toMatchObject(new EngineError("conflict", "Name is taken"));
});

test("an unknown job, and an input that cannot be cloned, are refused", async () => {
  const unknown = workers.run({ name: "test.none", run: () => null }, null);
  expect(await unknown.catch((err: unknown) => err)).toMatchObject({
    kind: "internal",
    message: expect.stringMatching(/test\.none/),
  });
  const uncloneable = workers.run({ name: "test.add", run: () => null }, { a: () => 1 });
  expect(await uncloneable.catch((err: unknown) => err)).toMatchObject({
    kind: "internal",
    message: expect.stringMatching(/test\.add/),
  });
  expect(await workers.run(jobs.add, { a: 1, b: 2 })).toBe(3);
});

test("an abort stops a running job and rejects with the caller's reason", async () => {
  const reason = new EngineError("canceled", "client went away");
  const abort = new AbortController();
  const running = workers.run(jobs.spin, null, { signal: abort.signal, onReport: () => abort.abort(reason) });
  expect(await running.catch((err: unknown) => err)).toBe(reason);
});

test("an abort takes a waiting job out of the queue", async () => {
  const pool = createWorkers({ size: 1, entry });
  const state = new Int32Array(new SharedArrayBuffer(4));
  const holding = pool.run(jobs.hold, state);
  const abort = new AbortController();
  const queued = pool.run(jobs.add, { a: 1, b: 1 }, { signal: abort.signal });
  abort.abort();
  expect(await queued.catch((err: unknown) => (err as Error).name)).toBe("AbortError");
  Atomics.store(state, 0, 1);
  Atomics.notify(state, 0);
  await holding;
  expect(await pool.run(jobs.add, { a: 2, b: 2 })).toBe(4);
  await pool[Symbol.asyncDispose]();
});

test("an aborted signal starts nothing", async () => {
  const started = workers.run(jobs.exit, null, { signal: AbortSignal.abort() });
  expect(await started.catch((err: unknown) => (err as Error).name)).toBe("AbortError");
});

test("jobs that wait take no place from others", async () => {
  const pool = createWorkers({ size: 1, entry });
  const state = new Int32Array(new SharedArrayBuffer(4));
  const holding = [1, 2, 3].map(() => pool.run(jobs.hold, state, { waits: true }));
  expect(await pool.run(jobs.add, { a: 2, b: 2 })).toBe(4);
  Atomics.store(state, 0, 1);
  Atomics.notify(state, 0);
  await Promise.all(holding);
  await pool[Symbol.asyncDispose]();
});

test("a thread that dies rejects its job and is replaced", async () => {
  const dying = workers.run(jobs.exit, null);
  expect(await dying.catch((err: unknown) => err)).toMatchObject({
    kind: "internal",
    message: expect.stringMatching(/test\.exit/),
  });
  expect(await workers.run(jobs.add, { a: 1, b: 2 })).toBe(3);
});

test("a worker entry that cannot be loaded rejects the job", async () => {
  const pool = createWorkers({ size: 1, entry: new URL("./testing/none.ts", import.meta.url).href });
  const failing = pool.run(jobs.add, { a: 1, b: 2 });
  expect(await failing.catch((err: unknown) => err)).toMatchObject({ kind: "internal" });
  await pool[Symbol.asyncDispose]();
});

test("disposing rejects what runs and what comes", async () => {
  const pool = createWorkers({ size: 1, entry });
  const running = pool.run(jobs.spin, null);
  const outcome = running.catch((err: unknown) => err);
  await pool[Symbol.asyncDispose]();
  expect(await outcome).toMatchObject({ kind: "unavailable" });
  const late = pool.run(jobs.add, { a: 1, b: 2 });
  expect(await late.catch((err: unknown) => err)).toMatchObject({ kind: "unavailable" });
});

test("confined sees the new root only, and only while it runs", async () => {
  mkdirSync(join(scratch, "root/inside"), { recursive: true });
  writeFileSync(join(scratch, "outside"), "");
  const here = readdirSync("/");
  for (let round = 0; round < 4; round++) {
    expect(await workers.run(jobs.list, join(scratch, "root"))).toEqual([["inside"], here]);
  }
  expect(readdirSync("/")).toEqual(here);
  const missing = workers.run(jobs.list, join(scratch, "none"));
  expect(await missing.catch((err: unknown) => err)).toMatchObject({ kind: "internal" });
});

test("a confined thread takes no other thread of the process with it", async () => {
  const root = join(scratch, "root2");
  mkdirSync(root);
  const pool = createWorkers({ size: 1, entry });
  const state = new Int32Array(new SharedArrayBuffer(4));
  const holding = pool.run(jobs.confinedHold, { root, state });
  await Atomics.waitAsync(state, 0, 0).value;
  const listings = await Promise.all(Array.from({ length: 200 }, () => readdir("/")));
  expect(listings.filter((names) => names.length === 0)).toEqual([]);
  Atomics.store(state, 0, 2);
  Atomics.notify(state, 0);
  await holding;
  await pool[Symbol.asyncDispose]();
});

test("idle threads do not keep a process alive, in dev and in a single-file executable", async () => {
  const main = `import { createWorkers } from "./pool.ts";
    const pool = createWorkers({ size: 2, entry: Bun.main.startsWith("/$bunfs/") ? "./worker.ts" : ${JSON.stringify(entry)} });
    console.log(await pool.run({ name: "test.add", run: () => 0 }, { a: 20, b: 22 }));`;
  writeFileSync(
    join(scratch, "pool.ts"),
    `export * from ${JSON.stringify(new URL("./workers.ts", import.meta.url).pathname)};`,
  );
  writeFileSync(join(scratch, "worker.ts"), `import ${JSON.stringify(new URL(entry).pathname)};`);
  writeFileSync(join(scratch, "main.ts"), main);
  expect(await output([process.execPath, join(scratch, "main.ts")])).toBe("42\n");
  const argv = ["build", "--compile", join(scratch, "main.ts"), join(scratch, "worker.ts")];
  await output([process.execPath, ...argv, "--root", scratch, "--outfile", join(scratch, "binary")]);
  expect(await output([join(scratch, "binary")])).toBe("42\n");
}, 30_000);

async function output(argv: string[]): Promise<string> {
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "pipe" });
  const [text, problem] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(problem);
  return text;
}
