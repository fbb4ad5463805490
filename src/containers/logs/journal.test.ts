import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createProcesses } from "../../host/mod.ts";
import { collect } from "../../stream/mod.ts";
import type { LogOptions } from "../containers.ts";
import { until } from "../testing/engine.ts";
import { allLogs } from "../testing/run.ts";
import { LogFormat } from "./format.ts";
import { pieceOf, readJournal } from "./journal.ts";

const id = "a".repeat(64);
let directory: string;
let program: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-journal-"));
  program = join(directory, "journalctl");
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A journalctl that writes down how it was called and says what it is told to. */
function pretend(script: string): void {
  writeFileSync(program, `#!/bin/sh\necho "$*" >> ${directory}/calls\n${script}\n`, { mode: 0o755 });
  writeFileSync(join(directory, "calls"), "");
}

const calls = () => readFileSync(join(directory, "calls"), "utf8").trim().split("\n");

function entry(seconds: number, message: unknown, over: object = {}): string {
  const time = String(1_767_225_600_000_000 + seconds * 1_000_000);
  return JSON.stringify({
    __CURSOR: `c${seconds}`,
    __REALTIME_TIMESTAMP: time,
    MESSAGE: message,
    PRIORITY: "6",
    ...over,
  });
}

function read(over: Partial<LogOptions> = {}, end?: AbortSignal) {
  const options = { ...allLogs, ...over };
  const format = new LogFormat({ ...options, raw: true, attributes: "" });
  return readJournal({ processes: createProcesses(), program, id, options, format, ...(end && { end }) });
}

const text = async (over: Partial<LogOptions> = {}) => Buffer.from(await collect(read(over), 1 << 20)).toString();

test("entries become pieces of lines", () => {
  expect(pieceOf(JSON.parse(entry(0, "x\n")))).toEqual({
    time: "2026-01-01T00:00:00.000000000Z",
    stream: "stdout",
    partial: false,
    text: Buffer.from("x"),
  });
  const bytes = JSON.parse(entry(0, [255, 0], { PRIORITY: "3", CONTAINER_PARTIAL_MESSAGE: "true" }));
  expect(pieceOf(bytes)).toMatchObject({ stream: "stderr", partial: true, text: Buffer.from([255, 0]) });
  for (const odd of [null, {}, [["a"]], undefined]) expect(pieceOf(JSON.parse(entry(0, odd)))).toBeUndefined();
  expect(pieceOf({ MESSAGE: "x" })).toBeUndefined();
});

test("what is there: only root's entries of this container, with times and parts as any other log", async () => {
  pretend(
    `cat <<'END'\n${entry(1, "one")}\n${entry(2, "par", { CONTAINER_PARTIAL_MESSAGE: "true" })}\n${entry(3, "tial")}\nEND`,
  );
  expect(await text({ timestamps: true })).toBe(
    "2026-01-01T00:00:01.000000000Z one\n2026-01-01T00:00:02.000000000Z partial\n",
  );
  expect(calls()).toEqual([`--output=json --all --no-pager --quiet CONTAINER_ID_FULL=${id} _UID=0`]);
  expect(await text({ tail: 2, since: 1_767_225_603_000_000_000n })).toBe("tial\n");
  expect(calls()[1]).toContain("--lines=2 --since=@1767225603 ");
  expect(await text({ until: 1_767_225_601_000_000_000n })).toBe("one\n");
  expect(await text({ tail: 0 })).toBe("");
});

test("a journalctl that fails is quoted", async () => {
  pretend("echo 'no journal files' >&2; exit 1");
  await expect(text()).rejects.toThrow("journalctl ended with code 1: no journal files");
});

test("following: until the container ends, and then what came late, from the last entry on", async () => {
  pretend(`case "$*" in
    *--follow*) echo '${entry(1, "early")}'; exec sleep 1000;;
    *--sync*) ;;
    *--after-cursor=c1*) echo '${entry(2, "late")}';;
  esac`);
  const end = new AbortController();
  let seen = "";
  const reading = (async () => {
    for await (const bytes of read({ follow: true }, end.signal)) seen += Buffer.from(bytes).toString();
  })();
  await until(() => seen === "early\n", "the first entry");
  end.abort();
  await reading;
  expect(seen).toBe("early\nlate\n");
  expect(calls()).toHaveLength(3);
});

test("following ends its journalctl when the client leaves", async () => {
  pretend(`echo $$ > ${directory}/pid; echo '${entry(1, "x")}'; exec sleep 1000`);
  const left = new AbortController();
  for await (const bytes of read({ follow: true, signal: left.signal }, left.signal)) {
    expect(Buffer.from(bytes).toString()).toBe("x\n");
    left.abort();
  }
  const pid = Number(readFileSync(join(directory, "pid"), "utf8"));
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});
