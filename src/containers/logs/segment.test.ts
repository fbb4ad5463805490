import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packedPath, plainPath, segmentsOf } from "./names.ts";
import { packLog } from "./pack.ts";
import { encodeIndex, indexLength } from "./packed-index.ts";
import { type OpenSegment, openSegment, type Tail } from "./segment.ts";
import { line, linesFrom, runJob, timeAt } from "./testing/lines.ts";

let directory: string;
let log: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-logs-"));
  log = join(directory, "container.log");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function textOf(segment: OpenSegment, from = 0, to?: number): Promise<string> {
  const parts: Buffer[] = [];
  for await (const piece of segment.text.pieces(from, to ?? (await segment.text.size())))
    parts.push(Buffer.from(piece));
  return Buffer.concat(parts).toString();
}

/** Both kinds hold the same text. */
describe.each(["plain", "packed"] as const)("a %s segment", (kind) => {
  async function open(text: string): Promise<OpenSegment> {
    writeFileSync(plainPath(log, 1), text);
    if (kind === "packed") await runJob(packLog, { log, seq: 1 });
    expect(segmentsOf(log)).toMatchObject([{ seq: 1, kind }]);
    const segment = openSegment(log, 1);
    if (!segment) throw new Error("no segment");
    return segment;
  }

  async function tail(segment: OpenSegment, count: number): Promise<Tail> {
    return segment.text.lastLines({ count, end: await segment.text.size(), lines: 0, seen: false });
  }

  test("gives its text back, from any offset to any", async () => {
    const text = linesFrom(0, 60_000); // several frames
    using segment = await open(text);
    expect(await segment.text.size()).toBe(text.length);
    expect((await textOf(segment)) === text).toBe(true);
    const middle = 1_500_000;
    expect((await textOf(segment, middle, middle + 2_000_000)) === text.slice(middle, middle + 2_000_000)).toBe(true);
    expect(await textOf(segment, text.length)).toBe("");
  });

  test("finds the first record that is not before a time", async () => {
    const text = linesFrom(0, 60_000);
    using segment = await open(text);
    for (const index of [0, 1, 17, 29_999, 44_444, 59_999]) {
      expect(text.slice(await segment.text.find(timeAt(index)))).toStartWith(line(index));
    }
    expect(await segment.text.find("2000-01-01T00:00:00.000000000Z")).toBe(0);
    expect(await segment.text.find("2999-01-01T00:00:00.000000000Z")).toBe(text.length);
    expect(text.slice(await segment.text.find(timeAt(77).replace("000Z", "001Z")))).toStartWith(line(78));
  });

  test("finds a time among records of one instant, and among lines that are no records", async () => {
    const same = Array.from({ length: 5000 }, () => line(5, { text: "same" })).join("");
    const garbage = `${"x".repeat(300_000)}\n`;
    const text = `${linesFrom(0, 5)}${same}${garbage}${linesFrom(6, 5000)}`;
    using segment = await open(text);
    expect(text.slice(await segment.text.find(timeAt(5)))).toStartWith(line(5, { text: "same" }));
    expect(text.slice(await segment.text.find(timeAt(6)))).toMatch(/^(x+\n)?2026\S+ stdout F line 6\n/);
    expect(text.slice(await segment.text.find(timeAt(4000)))).toStartWith(line(4000));
  });

  test("counts lines from its end: parts are one line, and the last one need not have ended", async () => {
    const parts = line(2, { tag: "P", text: "a" }) + line(3, { tag: "P", text: "b" }) + line(4, { text: "c" });
    const text = linesFrom(0, 2) + parts + line(5, { tag: "P", text: "open" });
    using segment = await open(text);
    const begins = async (count: number) => {
      const found = await tail(segment, count);
      return found.kind === "found" ? text.slice(found.offset) : found.lines;
    };
    expect(await begins(1)).toBe(line(5, { tag: "P", text: "open" }));
    expect(await begins(2)).toBe(parts + line(5, { tag: "P", text: "open" }));
    expect(await begins(3)).toBe(text.slice(line(0).length));
    expect(await begins(4)).toBe(4);
    expect(await begins(100)).toBe(4);
  });

  test("counts many lines from its end", async () => {
    const text = linesFrom(0, 60_000);
    using segment = await open(text);
    for (const count of [1, 10, 1000, 25_000, 59_999]) {
      const found = await tail(segment, count);
      expect(found.kind === "found" && text.slice(found.offset).startsWith(line(60_000 - count))).toBe(true);
    }
    expect(await tail(segment, 60_000)).toEqual({ kind: "fewer", lines: 60_000, seen: true });
  });

  test("an empty one, and one whose last line was cut off", async () => {
    using empty = await open("");
    expect([await empty.text.size(), await empty.text.find(timeAt(0))]).toEqual([0, 0]);
    expect(await tail(empty, 3)).toEqual({ kind: "fewer", lines: 0, seen: false });
    rmSync(packedPath(log, 1), { force: true });
    const text = `${linesFrom(0, 3)}2026-01-01T00:00:09.000000000+00:00 stdout F cut`;
    using cut = await open(text);
    expect(await textOf(cut)).toBe(text);
    const found = await tail(cut, 1);
    expect(found.kind === "found" && text.slice(found.offset)).toStartWith(line(2));
  });
});

test("a packed segment is what zstd reads, and the plain one is gone", async () => {
  const text = linesFrom(0, 30_000);
  writeFileSync(plainPath(log, 3), text);
  await runJob(packLog, { log, seq: 3 });
  expect(existsSync(plainPath(log, 3))).toBe(false);
  const packed = readFileSync(packedPath(log, 3));
  expect(packed.length).toBeLessThan(text.length / 4);
  expect(Bun.zstdDecompressSync(packed).toString() === text).toBe(true);
});

test("a file that is no packed segment is said to be none", () => {
  expect(() => indexLength(Buffer.from("nonsense"))).toThrow("has no index");
  expect(() => indexLength(Buffer.alloc(0))).toThrow("has no index");
  expect(indexLength(encodeIndex([]).subarray(-8))).toBe(2);
});

test("the names: numbers in their order, packed before plain, nothing of others", () => {
  for (const name of ["10", "9.zst", "9", "2.zst", "x", "3.gz", "7.zst.tmp"]) writeFileSync(`${log}.${name}`, "");
  writeFileSync(`${log}.tmp`, "");
  writeFileSync(join(directory, "hosts"), "");
  const shown = () => segmentsOf(log).map(({ seq, kind }) => `${seq} ${kind}`);
  expect(shown()).toEqual(["2 packed", "9 packed", "10 plain"]);
  writeFileSync(log, "");
  expect(shown()).toEqual(["2 packed", "9 packed", "10 plain", "11 current"]);
  expect(segmentsOf(join(directory, "none", "container.log"))).toEqual([]);
});
