import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import type { Job, JobOptions, Workers } from "../../host/mod.ts";
import { nullLog } from "../../log/mod.ts";
import { collect } from "../../stream/mod.ts";
import { until } from "../testing/engine.ts";
import { allLogs, never } from "../testing/run.ts";
import { LogChanges } from "./changes.ts";
import { LogFormat } from "./format.ts";
import { Keeper } from "./keeper.ts";
import { packedPath, plainPath, segmentsOf } from "./names.ts";
import type { Rotation } from "./options.ts";
import { packLog } from "./pack.ts";
import { LogPins } from "./pins.ts";
import { readLog } from "./read.ts";
import { Rotator, renameCurrent } from "./rotator.ts";
import { line, linesFrom, runJob } from "./testing/lines.ts";

let directory: string;
let log: string;
let now: number;
let pins: LogPins;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-logs-"));
  log = join(directory, "container.log");
  now = 1_000_000;
  pins = new LogPins(() => now);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const small: Rotation = { maxSize: 1000, files: 3, compress: true };

/** What conmon does: it writes to the file that it has open, under whatever name, until it is told to open a new one. */
class FakeMonitor {
  writesTo = log;
  told = 0;

  write(text: string): void {
    appendFileSync(this.writesTo, text);
  }

  /** As conmon's: a file of its own, renamed over whatever has the name. */
  open(): void {
    this.told++;
    writeFileSync(`${log}.tmp`, "");
    renameSync(`${log}.tmp`, log);
    this.writesTo = log;
  }

  reopenLog = async (_: string, needed: () => boolean): Promise<void> => {
    if (needed()) this.open();
  };
}

const workers: Workers = {
  run: <I, O>(job: Job<I, O>, input: I, { signal }: JobOptions = {}) => {
    signal?.throwIfAborted();
    return runJob(job, input);
  },
  [Symbol.asyncDispose]: async () => undefined,
};

function keeper(): Keeper {
  return new Keeper({ workers, log: nullLog, pins });
}

function rotator(monitor: Pick<FakeMonitor, "reopenLog">, rotated: () => void = () => undefined): Rotator {
  return new Rotator({ runtime: monitor, log: nullLog, rotated, now: () => now });
}

async function read(over: Partial<typeof allLogs> & { released?: () => void } = {}): Promise<string> {
  const options = { ...allLogs, ...over };
  const format = new LogFormat({ ...options, raw: true, attributes: "" });
  const { released = () => undefined } = over;
  const bytes = readLog({ log, options, format, changes: new LogChanges(), pins, released });
  return Buffer.from(await collect(bytes, 1 << 30)).toString();
}

const texts = (first: number, count: number) =>
  Array.from({ length: count }, (_, index) => `line ${first + index}\n`).join("");
const kinds = () => segmentsOf(log).map(({ seq, kind }) => `${seq} ${kind}`);

describe("cut off at any step, nothing is lost or doubled, and the next daemon goes on", () => {
  /** Three segments' worth; the step cuts the rotation of the second off. */
  const steps: Record<string, (monitor: FakeMonitor) => Promise<void> | void> = {
    "before anything": () => undefined,
    "renamed; the monitor was not told": (monitor) => {
      renameCurrent(log);
      monitor.writesTo = plainPath(log, 2);
    },
    "told; the monitor had its draft of a new file": (monitor) => {
      renameCurrent(log);
      monitor.writesTo = plainPath(log, 2);
      writeFileSync(`${log}.tmp`, "");
    },
    "told; the monitor has opened a new file": (monitor) => {
      renameCurrent(log);
      monitor.open();
    },
    "the packed one is half written": (monitor) => {
      renameCurrent(log);
      monitor.open();
      writeFileSync(`${packedPath(log, 2)}.tmp`, "half");
    },
    "the packed one is there, the plain one too": async (monitor) => {
      renameCurrent(log);
      monitor.open();
      copyFileSync(plainPath(log, 2), join(directory, "saved"));
      await runJob(packLog, { log, seq: 2 });
      renameSync(join(directory, "saved"), plainPath(log, 2));
    },
    "the plain one is gone": async (monitor) => {
      renameCurrent(log);
      monitor.open();
      await runJob(packLog, { log, seq: 2 });
    },
  };

  test.each(Object.keys(steps))("%s", async (name) => {
    const monitor = new FakeMonitor();
    monitor.write(linesFrom(0, 20));
    renameCurrent(log);
    monitor.open();
    monitor.write(linesFrom(20, 20));
    await steps[name]?.(monitor);
    monitor.write(linesFrom(40, 5));
    expect(await read()).toBe(texts(0, 45));

    // The next daemon's start, while the container runs on.
    const next = rotator(monitor);
    next.track({ id: "a", log, rotation: small });
    await next.look();
    await keeper().tidy(log, small);
    next.stop();
    monitor.write(linesFrom(45, 5));
    expect(await read()).toBe(texts(0, 50));
    expect(await read({ tail: 12 })).toBe(texts(38, 12));
    expect(readdirSync(directory).filter((name) => name.endsWith(".zst.tmp"))).toEqual([]);
    expect(existsSync(log)).toBe(true);
    expect(kinds()).toContainEqual(expect.stringMatching(/ current$/));
    const sealed = segmentsOf(log).slice(0, -1);
    expect(sealed.every(({ kind }) => kind === "packed")).toBe(true);
    for (const { seq } of sealed) expect(existsSync(plainPath(log, seq))).toBe(false);
  });

  test("a container that ended in the middle writes on into a new file when it starts again", async () => {
    const monitor = new FakeMonitor();
    monitor.write(linesFrom(0, 20));
    renameCurrent(log);
    expect(await read()).toBe(texts(0, 20));
    await keeper().tidy(log, small);
    expect(kinds()).toEqual(["1 plain"]); // it might still be written to
    appendFileSync(log, linesFrom(20, 3));
    expect(await read()).toBe(texts(0, 23));
    expect(await read({ tail: 5 })).toBe(texts(18, 5));
    await keeper().tidy(log, small);
    expect(kinds()).toEqual(["1 packed", "2 current"]);
  });
});

describe("the rotator", () => {
  test("looks at what may be full, and tells the monitor once for each rotation", async () => {
    const monitor = new FakeMonitor();
    let rotations = 0;
    const one = rotator(monitor, () => rotations++);
    monitor.write(linesFrom(0, 10));
    one.track({ id: "a", log, rotation: small });
    await one.look();
    expect([rotations, monitor.told]).toEqual([0, 0]);
    monitor.write(linesFrom(10, 10));
    await one.look(); // not due yet
    expect(rotations).toBe(0);
    now += 5000;
    await one.look();
    expect([rotations, monitor.told]).toEqual([1, 1]);
    now += 5000;
    await one.look();
    expect([rotations, kinds()]).toEqual([1, ["1 plain", "2 current"]]);
    one.forget("a");
    monitor.write(linesFrom(20, 40));
    now += 5000;
    await one.look();
    expect(rotations).toBe(1);
  });

  test("one log whose monitor is stuck does not keep the others from being rotated", async () => {
    const monitor = new FakeMonitor();
    const stuck = Promise.withResolvers<void>();
    const told: string[] = [];
    const reopenLog = async (id: string, needed: () => boolean) => {
      told.push(id);
      await (id === "stuck" ? stuck.promise : monitor.reopenLog(id, needed));
    };
    const one = new Rotator({ runtime: { reopenLog }, log: nullLog, rotated: () => undefined });
    const other = join(directory, "other", "container.log");
    mkdirSync(join(directory, "other"));
    writeFileSync(other, linesFrom(0, 40));
    one.track({ id: "stuck", log: other, rotation: small });
    await until(() => told.includes("stuck"), "the stuck one is told");
    monitor.write(linesFrom(0, 40));
    one.track({ id: "a", log, rotation: small });
    await until(() => monitor.told === 1, "the other one is rotated"); // by the timer
    stuck.resolve();
    one.stop();
  });

  test("goes on at the next look when the monitor did not come to it, and lets a container go that has ended", async () => {
    const monitor = new FakeMonitor();
    const answers = [
      new EngineError("unavailable", "The monitor does not take commands"),
      new EngineError("not-found", "No such running task"),
    ];
    const reopenLog = async (id: string, needed: () => boolean) => {
      const answer = answers.shift();
      if (answer) throw answer;
      await monitor.reopenLog(id, needed);
    };
    const one = rotator({ reopenLog });
    monitor.write(linesFrom(0, 20));
    one.track({ id: "a", log, rotation: small });
    for (const expected of [["1 plain"], ["1 plain"], ["1 plain", "2 current"]]) {
      await one.look();
      now += 5000;
      expect(kinds()).toEqual(expected);
    }
    one.stop();
  });
});

describe("what is kept", () => {
  async function rotated(sizes: readonly number[], rotation: Rotation): Promise<string[]> {
    const monitor = new FakeMonitor();
    let first = 0;
    for (const size of sizes) {
      monitor.write(linesFrom(first, size));
      first += size;
      renameCurrent(log);
      monitor.open();
    }
    await keeper().tidy(log, rotation);
    return kinds();
  }

  test("the newest, packed or as they are", async () => {
    expect(await rotated([20, 20, 20, 20], small)).toEqual(["3 packed", "4 packed", "5 current"]);
    expect(await read()).toBe(texts(40, 40));
  });

  test("not packed", async () => {
    expect(await rotated([20, 20, 20], { ...small, compress: false })).toEqual(["2 plain", "3 plain", "4 current"]);
  });

  test("one file alone", async () => {
    const single = { ...small, files: 1, compress: false };
    expect(await rotated([20, 20], single)).toEqual(["3 current"]);
    expect(await rotated([20], single)).toEqual(["4 current"]); // a number is never used again
    expect(readdirSync(directory).sort()).toEqual(["container.log", "container.log.3.gone"]);
  });

  test("what grew beyond its size while nobody rotated counts as the several that it is", async () => {
    expect(await rotated([20, 20, 500], { ...small, files: 5 })).toEqual(["3 packed", "4 current"]);
    expect(await rotated([20], { ...small, files: 5 })).toEqual(["3 packed", "4 packed", "5 current"]);
  });

  test("as much as the disk may hold: what is to be packed counts a quarter, what is packed its size", async () => {
    const rotation = { ...small, files: 50, disk: Buffer.byteLength(linesFrom(0, 200)) / 2 };
    expect(await rotated([200, 200, 200, 200], rotation)).toEqual(["3 packed", "4 packed", "5 current"]);
    expect(await rotated([200], rotation)).toEqual(["3 packed", "4 packed", "5 packed", "6 current"]);
  });

  test("what a reader has still to come to, as long as it gets on", async () => {
    const monitor = new FakeMonitor();
    for (const first of [0, 20, 40, 60]) {
      monitor.write(linesFrom(first, 20));
      renameCurrent(log);
      monitor.open();
    }
    const options = allLogs;
    const format = new LogFormat({ ...options, raw: true, attributes: "" });
    const one = keeper();
    const released = () => void one.tidy(log, { ...small, files: 2 });
    const reader = readLog({ log, options, format, changes: new LogChanges(), pins, released })[Symbol.asyncIterator]();
    const seen: string[] = [Buffer.from((await reader.next()).value ?? []).toString()];
    await one.tidy(log, { ...small, files: 2 });
    expect(kinds()).toEqual(["2 packed", "3 packed", "4 packed", "5 current"]); // the first is open
    for (let piece = await reader.next(); !piece.done; piece = await reader.next())
      seen.push(Buffer.from(piece.value).toString());
    expect(seen.join("")).toBe(texts(0, 80));
    await one.tidy(log, { ...small, files: 2 });
    expect(kinds()).toEqual(["4 packed", "5 current"]);
  });

  test("what comes next is kept for a reader that has waited for the log for long", async () => {
    const end = new AbortController();
    const changes = new LogChanges();
    const monitor = new FakeMonitor();
    monitor.write(linesFrom(0, 20));
    const options = { ...allLogs, follow: true };
    const format = new LogFormat({ ...options, raw: true, attributes: "" });
    const request = { log, options, format, changes, pins, released: () => undefined, end: end.signal };
    const pieces = readLog(request)[Symbol.asyncIterator]();
    await pieces.next();
    const next = pieces.next();
    const muchLater = () => {
      now += 100_000;
      return pins.needs(log, 2);
    };
    await until(muchLater, "it waits, and nothing goes meanwhile");
    end.abort();
    expect((await next).done).toBe(true);
    expect(pins.needs(log, 2)).toBe(false);
  });

  test("a reader that takes nothing for a minute is told when it comes to what has gone", async () => {
    const monitor = new FakeMonitor();
    for (const first of [0, 20, 40]) {
      monitor.write(linesFrom(first, 20));
      renameCurrent(log);
      monitor.open();
    }
    const format = new LogFormat({ ...allLogs, raw: true, attributes: "" });
    const changes = new LogChanges();
    const reader = readLog({ log, options: allLogs, format, changes, pins, released: () => undefined });
    const pieces = reader[Symbol.asyncIterator]();
    await pieces.next();
    now += 61_000;
    await keeper().tidy(log, { ...small, files: 2 });
    await expect(pieces.next()).rejects.toThrow("rotated away");
  });
});

describe("following", () => {
  const kept = { "three files": small, "one file": { ...small, files: 1, compress: false } };

  test.each(Object.entries(kept))(
    "goes over any number of rotations with %s, and its watch is closed with the last reader",
    async (_, rotation) => {
      const monitor = new FakeMonitor();
      const changes = new LogChanges();
      const end = new AbortController();
      monitor.write(linesFrom(0, 5));
      const options = { ...allLogs, follow: true, signal: never };
      const seen = new Map<number | undefined, string>();
      const follow = async (tail?: number) => {
        const format = new LogFormat({ ...options, raw: true, attributes: "" });
        const wish = tail === undefined ? options : { ...options, tail };
        const request = { log, options: wish, format, changes, pins, released: () => undefined, end: end.signal };
        for await (const bytes of readLog(request))
          seen.set(tail, (seen.get(tail) ?? "") + Buffer.from(bytes).toString());
      };
      const all = [follow(), follow(2)];
      await until(() => [undefined, 2].every((tail) => seen.get(tail)?.endsWith("line 4\n")), "both are at the end");
      for (let round = 1; round <= 30; round++) {
        if (round % 3 === 0) {
          renameCurrent(log);
          monitor.writesTo = plainPath(log, segmentsOf(log).at(-1)?.seq ?? 0);
        }
        monitor.write(linesFrom(round * 5, 3));
        await new Promise((resolve) => setTimeout(resolve, 3));
        if (round % 3 === 0) monitor.open();
        monitor.write(linesFrom(round * 5 + 3, 2));
        if (round % 7 === 0) await keeper().tidy(log, rotation);
      }
      expect(changes.size).toBe(1);
      end.abort();
      await Promise.all(all);
      expect(seen.get(undefined)).toBe(texts(0, 155));
      expect(seen.get(2)).toBe(texts(3, 152));
      expect(changes.size).toBe(0);
    },
  );

  test("a line that is being written is given when it is whole", async () => {
    const end = new AbortController();
    const changes = new LogChanges();
    appendFileSync(log, line(0).slice(0, 50));
    const options = { ...allLogs, follow: true };
    const format = new LogFormat({ ...options, raw: true, attributes: "" });
    const request = { log, options, format, changes, pins, released: () => undefined, end: end.signal };
    const pieces = readLog(request)[Symbol.asyncIterator]();
    const first = pieces.next();
    appendFileSync(log, line(0).slice(50));
    expect(Buffer.from((await first).value ?? []).toString()).toBe("line 0\n");
    end.abort();
    expect((await pieces.next()).done).toBe(true);
  });
});
