import { nanos } from "../clock.ts";
import type { StreamName } from "../hub.ts";
import { timeText } from "./times.ts";

/**
 * One line of conmon's k8s-file log, `TIMESTAMP stdout|stderr F|P text`, where it lies in a buffer. A partial one (P) lacks
 * the newline that the text never had. Places instead of views: a log has a million records, and views are garbage.
 */
export interface LogRecord {
  readonly bytes: Buffer;
  readonly start: number;
  readonly timeEnd: number;
  readonly stream: StreamName;
  readonly partial: boolean;
  readonly textStart: number;
  readonly textEnd: number;
}

export const newline = 10;
const space = 32;
const capitalF = 70;
const capitalP = 80;
const stdout = Buffer.from("stdout");
const stderr = Buffer.from("stderr");
export const blockSize = 64 * 1024;
/** A line without an end is conmon's own only up to here (it cuts at 8 KiB): whatever is longer is not its work. */
export const longestLine = 1024 * 1024;

/** Splits a log into records, however it arrives. */
export class LogParser {
  #rest: Buffer = Buffer.alloc(0);

  /** The records lie in the block or in a buffer of the parser's own: to be used before the next block. */
  feed(block: Uint8Array, take: (record: LogRecord) => void): void {
    const view = Buffer.from(block.buffer, block.byteOffset, block.length);
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, block]) : view;
    let from = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, from)) {
      const record = recordAt(bytes, { start: from, end });
      if (record) take(record);
      from = end + 1;
    }
    this.#rest = bytes.length - from > longestLine ? Buffer.alloc(0) : Buffer.from(bytes.subarray(from));
  }

  /** What has no end is not continued: another file begins. */
  reset(): void {
    this.#rest = Buffer.alloc(0);
  }
}

/** Those that are whole, from an offset that a line begins at. */
export function* recordsOf(bytes: Buffer, from = 0): Generator<LogRecord> {
  let start = from;
  for (let end = bytes.indexOf(newline, start); end >= 0; end = bytes.indexOf(newline, start)) {
    const record = recordAt(bytes, { start, end });
    if (record) yield record;
    start = end + 1;
  }
}

/** The line from `start` to its newline at `end`. Undefined for one that conmon did not write (a write cut short by a full disk). */
export function recordAt(bytes: Buffer, { start, end }: { start: number; end: number }): LogRecord | undefined {
  const timeEnd = bytes.indexOf(space, start);
  const streamEnd = timeEnd + 7; // both names have six letters
  if (timeEnd < 0 || streamEnd + 1 >= end || bytes[streamEnd] !== space) return undefined;
  const stream = streamAt(bytes, timeEnd + 1);
  const tag = bytes[streamEnd + 1];
  if (stream === undefined || (tag !== capitalF && tag !== capitalP)) return undefined;
  if (streamEnd + 2 < end && bytes[streamEnd + 2] !== space) return undefined;
  const textStart = Math.min(streamEnd + 3, end);
  return { bytes, start, timeEnd, stream, partial: tag === capitalP, textStart, textEnd: end };
}

function streamAt(bytes: Buffer, at: number): StreamName | undefined {
  if (bytes.compare(stdout, 0, stdout.length, at, at + stdout.length) === 0) return "stdout";
  return bytes.compare(stderr, 0, stderr.length, at, at + stderr.length) === 0 ? "stderr" : undefined;
}

/** RFC 3339 in UTC with nanoseconds: such texts sort as the instants do. */
export function timeOf({ bytes, start, timeEnd }: LogRecord): string {
  return utc(bytes.toString("latin1", start, timeEnd));
}

/** conmon writes local time with nanoseconds and its offset, 35 characters; under TZ=UTC that is +00:00. */
function utc(time: string): string {
  if (time.length === 35 && time.endsWith("+00:00")) return `${time.slice(0, -6)}Z`;
  const at = nanos(time);
  return at === undefined ? time : timeText(at);
}
