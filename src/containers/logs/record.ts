import { nanos } from "../clock.ts";
import type { StreamName } from "../hub.ts";
import { timeText } from "./times.ts";

/** One line of conmon's k8s-file log: `TIMESTAMP stdout|stderr F|P text`. A partial one lacks the newline that the text never had. */
export interface LogRecord {
  /** RFC 3339 in UTC with nanoseconds: such texts sort as the instants do. */
  readonly time: string;
  readonly stream: StreamName;
  readonly partial: boolean;
  readonly text: Uint8Array;
}

export const newline = 10;
const space = 32;
const capitalP = 80;
export const blockSize = 64 * 1024;
/** A line without an end is conmon's own only up to here (it cuts at 8 KiB): whatever is longer is not its work. */
export const longestLine = 1024 * 1024;

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

  /** What has no end is not continued: another file begins. */
  reset(): void {
    this.#rest = Buffer.alloc(0);
  }
}

/** Undefined for a line that conmon did not write (a write cut short by a full disk). */
export function parseRecord(line: Buffer): LogRecord | undefined {
  const head = headOf(line);
  if (!head) return undefined;
  const { stream, partial, textAt } = head;
  return { time: utc(line.toString("latin1", 0, head.timeEnd)), stream, partial, text: line.subarray(textAt) };
}

interface Head {
  readonly timeEnd: number;
  readonly stream: StreamName;
  readonly partial: boolean;
  readonly textAt: number;
}

function headOf(line: Buffer): Head | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  if (first < 0 || second < 0) return undefined;
  const stream = line.toString("latin1", first + 1, second);
  const tag = line[second + 1];
  const after = line[second + 2];
  if ((stream !== "stdout" && stream !== "stderr") || (tag !== 70 && tag !== capitalP)) return undefined;
  if (after !== undefined && after !== space) return undefined;
  return { timeEnd: first, stream, partial: tag === capitalP, textAt: Math.min(second + 3, line.length) };
}

/** Whether the line is a record, and whether it ends a line of the container. */
export function endsLine(line: Buffer): boolean | undefined {
  const head = headOf(line);
  return head && !head.partial;
}

/** The record's time alone; undefined for a line that is none. */
export function timeOf(line: Buffer): string | undefined {
  const head = headOf(line);
  return head && utc(line.toString("latin1", 0, head.timeEnd));
}

/** conmon writes local time with nanoseconds and its offset, 35 characters; under TZ=UTC that is +00:00. */
function utc(time: string): string {
  if (time.length === 35 && time.endsWith("+00:00")) return `${time.slice(0, -6)}Z`;
  const at = nanos(time);
  return at === undefined ? time : timeText(at);
}
