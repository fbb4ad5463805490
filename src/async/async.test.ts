import { expect, test } from "bun:test";
import { after, Bell, Flight, KeyedLock, Queue, raceAbort, Semaphore } from "./mod.ts";

test("a keyed lock runs bodies of one key in order and of different keys together", async () => {
  const lock = new KeyedLock();
  const log: string[] = [];
  const body = (name: string, ms: number) => async () => {
    log.push(`+${name}`);
    await after(ms);
    log.push(`-${name}`);
  };
  await Promise.all([lock.run("a", body("1", 5)), lock.run("a", body("2", 0)), lock.run("b", body("3", 0))]);
  expect(log.indexOf("+2")).toBeGreaterThan(log.indexOf("-1"));
  expect(log.indexOf("+3")).toBeLessThan(log.indexOf("-1"));
});

test("a lock outlives a body that throws and a waiter that leaves", async () => {
  const lock = new KeyedLock();
  await expect(lock.run("a", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  const hold = Promise.withResolvers<void>();
  const first = lock.run("a", () => hold.promise);
  const left = lock.run("a", async () => "never", AbortSignal.abort(new Error("left")));
  const third = lock.run("a", async () => "third");
  await expect(left).rejects.toThrow("left");
  hold.resolve();
  await first;
  expect(await third).toBe("third");
});

test("a flight is shared, and aborted only when all who wait for it have gone", async () => {
  const flight = new Flight<string>();
  let starts = 0;
  let signal: AbortSignal | undefined;
  const start = (own: AbortSignal) => {
    starts++;
    signal = own;
    return raceAbort(
      Bun.sleep(10).then(() => "done"),
      own,
    );
  };
  const one = new AbortController();
  const first = flight.share("k", start, one.signal);
  const second = flight.share("k", start);
  one.abort(new Error("gone"));
  await expect(first).rejects.toThrow("gone");
  expect(await second).toBe("done");
  expect(starts).toBe(1);
  const alone = new AbortController();
  const third = flight.share("k", start, alone.signal);
  alone.abort(new Error("gone"));
  await expect(third).rejects.toThrow("gone");
  expect(signal?.aborted).toBe(true);
});

test("a semaphore lets so many in and passes on the place of one who left", async () => {
  const semaphore = new Semaphore(1);
  const hold = Promise.withResolvers<void>();
  const first = semaphore.run(() => hold.promise);
  const abort = new AbortController();
  const left = semaphore.run(async () => "never", abort.signal);
  const third = semaphore.run(async () => "third");
  abort.abort(new Error("left"));
  await expect(left).rejects.toThrow("left");
  hold.resolve();
  await first;
  expect(await third).toBe("third");
});

test("a queue gives everything before its end, and its failure after it", async () => {
  const queue = new Queue<number>();
  queue.push(1);
  queue.push(2);
  queue.close(new Error("broken"));
  const got: number[] = [];
  const reading = (async () => {
    for await (const item of queue) got.push(item);
  })();
  await expect(reading).rejects.toThrow("broken");
  expect(got).toEqual([1, 2]);
});

test("a queue's batches have what was pushed since the last one", async () => {
  const queue = new Queue<number>();
  const batches = queue.batches();
  queue.push(1);
  queue.push(2);
  expect((await batches.next()).value).toEqual([1, 2]);
  const later = batches.next();
  queue.push(3);
  expect((await later).value).toEqual([3]);
  queue.push(4);
  queue.close(new Error("broken"));
  expect((await batches.next()).value).toEqual([4]);
  expect(await batches.next().then(() => "", String)).toContain("broken");
});

test("a bell wakes all who wait, and those who come later at its next ring", async () => {
  const bell = new Bell();
  const woken: string[] = [];
  const waiting = [bell.rung.then(() => woken.push("a")), bell.rung.then(() => woken.push("b"))];
  bell.ring();
  const later = bell.rung.then(() => woken.push("c"));
  await Promise.all(waiting);
  expect(woken).toEqual(["a", "b"]);
  bell.ring();
  await later;
  expect(woken).toEqual(["a", "b", "c"]);
});
