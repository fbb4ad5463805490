import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import type { Job, JobContext } from "../../host/mod.ts";
import { packedPath, plainPath, unfinished } from "./names.ts";
import { encodeIndex, type Frame } from "./packed-index.ts";
import { type LogRecord, newline, recordsOf, timeOf } from "./record.ts";

export interface PackInput {
  readonly log: string;
  readonly seq: number;
}

/** Unpacked bytes of a frame at most: what a reader holds in memory. */
const frameSize = 1024 * 1024;

/**
 * Packs a segment that nobody writes to any more. The packed one is visible once it is whole and synced; only then the plain
 * one goes, so that whenever this is cut off one of them is there.
 */
export const packLog: Job<PackInput, void> = {
  name: "pack a log",
  run({ log, seq }, context) {
    const [from, to] = [plainPath(log, seq), packedPath(log, seq)];
    const draft = to + unfinished;
    const source = openSync(from, "r");
    try {
      const target = openSync(draft, "w", 0o640);
      try {
        writeFrames({ source, target, context });
        fsyncSync(target);
      } finally {
        closeSync(target);
      }
      renameSync(draft, to);
      rmSync(from, { force: true });
    } catch (err) {
      rmSync(draft, { force: true });
      throw err;
    } finally {
      closeSync(source);
    }
  },
};

interface Packing {
  readonly source: number;
  readonly target: number;
  readonly context: JobContext;
}

function writeFrames({ source, target, context }: Packing): void {
  const frames: Frame[] = [];
  let at = 0;
  for (const text of chunksOf(source)) {
    context.check();
    const packed = Bun.zstdCompressSync(text);
    writeAll(target, packed);
    frames.push({ at, length: packed.length, plain: text.length, ...contents(text) });
    at += packed.length;
  }
  writeAll(target, encodeIndex(frames));
}

/** Whole lines as far as they fit a frame; a last line without an end is a chunk's end, too. */
function* chunksOf(source: number): Generator<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(frameSize);
  let filled = 0;
  for (let at = 0; ; ) {
    const read = readSync(source, buffer, filled, frameSize - filled, at);
    at += read;
    filled += read;
    if (read > 0 && filled < frameSize) continue;
    if (filled === 0) return;
    const whole = read === 0 ? 0 : buffer.subarray(0, filled).lastIndexOf(newline) + 1;
    const end = whole || filled;
    yield buffer.subarray(0, end);
    buffer.copyWithin(0, end, filled);
    filled -= end;
  }
}

function contents(text: Buffer): Pick<Frame, "lines" | "first" | "last"> {
  let lines = 0;
  let first: LogRecord | undefined;
  let last: LogRecord | undefined;
  for (const record of recordsOf(text)) {
    if (!record.partial) lines++;
    first ??= record;
    last = record;
  }
  return { lines, first: first ? timeOf(first) : "", last: last ? timeOf(last) : "" };
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const written = writeSync(fd, bytes, at);
    if (written <= 0) throw new EngineError("internal", "A packed log cannot be written");
    at += written;
  }
}
