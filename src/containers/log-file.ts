import type { FileHandle } from "node:fs/promises";
import type { StreamName } from "./hub.ts";

/** One line of conmon's k8s-file log: `TIMESTAMP stdout|stderr F|P text`. A partial one lacks the newline that the text never had. */
export interface LogRecord {
  /** RFC 3339 in UTC with nanoseconds. */
  readonly time: string;
  readonly stream: StreamName;
  readonly partial: boolean;
  readonly text: Uint8Array;
}

const newline = 10;
const space = 32;
export const blockSize = 64 * 1024;
/** A line without an end is conmon's own only up to here (it cuts at 8 KiB): whatever is longer is not its work. */
const longestLine = 1024 * 1024;

/** Splits a log into records, however it arrives. */
export class LogParser {
  #rest: Buffer = Buffer.alloc(0);

  /** The records' texts are views of the block: to be used before it is written again. */
  feed(block: Uint8Array): LogRecord[] {
    const view = Buffer.from(block.buffer, block.byteOffset, block.length);
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, block]) : view;
    const records: LogRecord[] = [];
    let from = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, from)) {
      const record = parseRecord(bytes.subarray(from, end));
      if (record) records.push(record);
      from = end + 1;
    }
    this.#rest = bytes.length - from > longestLine ? Buffer.alloc(0) : Buffer.from(bytes.subarray(from));
    return records;
  }
}

/** Undefined for a line that conmon did not write (a write cut short by a full disk). */
export function parseRecord(line: Buffer): LogRecord | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  const third = line.indexOf(space, second + 1);
  if (first < 0 || second < 0) return undefined;
  const stream = line.toString("latin1", first + 1, second);
  const tag = line.toString("latin1", second + 1, third < 0 ? undefined : third);
  if ((stream !== "stdout" && stream !== "stderr") || (tag !== "F" && tag !== "P")) return undefined;
  const time = utc(line.toString("latin1", 0, first));
  const text = third < 0 ? Buffer.alloc(0) : line.subarray(third + 1);
  return { time, stream, partial: tag === "P", text };
}

/** conmon writes local time with its offset; under TZ=UTC that is +00:00. */
function utc(time: string): string {
  if (time.endsWith("+00:00")) return `${time.slice(0, -6)}Z`;
  if (time.endsWith("Z")) return time;
  const fraction = /\.\d+/.exec(time)?.[0] ?? "";
  const whole = new Date(time.replace(fraction, ""));
  return Number.isNaN(whole.getTime()) ? time : `${whole.toISOString().slice(0, 19)}${fraction}Z`;
}

/** Where the last `count` lines of the log begin, found from its end by blocks. Parts of a line are one line. */
export async function tailOffset(file: FileHandle, count: number): Promise<number> {
  const { size } = await file.stat();
  if (count <= 0) return size;
  let found = 0;
  let last = true;
  for await (const { line, end } of linesBackwards(file, size)) {
    const partial = parseRecord(line)?.partial ?? false;
    if (!partial || last) found++;
    last = false;
    if (found > count) return end;
  }
  return 0;
}

/** Lines from the last to the first, each with the offset after its newline. */
async function* linesBackwards(file: FileHandle, size: number): AsyncGenerator<{ line: Buffer; end: number }> {
  let carry = Buffer.alloc(0);
  for (let at = size; at > 0; ) {
    const length = Math.min(blockSize, at);
    at -= length;
    const block = Buffer.alloc(length);
    await file.read(block, 0, length, at);
    const bytes = Buffer.concat([block, carry]);
    let end = bytes.length;
    for (
      let cut = bytes.lastIndexOf(newline, end - 2);
      cut >= 0 && end > 1;
      cut = bytes.lastIndexOf(newline, end - 2)
    ) {
      yield { line: trimEnd(bytes.subarray(cut + 1, end)), end: at + end };
      end = cut + 1;
      if (end < 2) break;
    }
    carry = Buffer.from(bytes.subarray(0, end));
  }
  if (carry.length > 0) yield { line: trimEnd(carry), end: carry.length };
}

function trimEnd(line: Buffer): Buffer {
  return line.at(-1) === newline ? line.subarray(0, -1) : line;
}
