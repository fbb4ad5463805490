import { frameHeader } from "../../stream/mod.ts";
import type { LogOptions } from "../containers.ts";
import type { StreamName } from "../hub.ts";
import { type LogParser, timeOf } from "./record.ts";
import { timeText } from "./times.ts";

export type FormatOptions = Pick<LogOptions, "stdout" | "stderr" | "timestamps" | "details" | "since" | "until"> & {
  /** A terminal's output: bytes without frames. */
  readonly raw: boolean;
  /** What `details` puts before a line: `key=value,…`, or nothing. */
  readonly attributes: string;
};

/** A piece of a line, or all of it, wherever it was kept. */
export interface LogPiece {
  /** RFC 3339 in UTC with nanoseconds. */
  readonly time: string;
  readonly stream: StreamName;
  /** More of the line follows. */
  readonly partial: boolean;
  readonly text: Uint8Array;
}

interface Piece extends LogPiece {
  readonly from: number;
  readonly to: number;
}

/** Turns records into what a client sees: a partial one joins what follows without a newline, and without a second time. */
export class LogFormat {
  readonly #options: FormatOptions;
  readonly #since: string;
  readonly #until: string;
  /** Whether anybody wants to know a record's time. */
  readonly #timed: boolean;
  readonly #middle = new Set<StreamName>();
  #done = false;

  constructor(options: FormatOptions) {
    this.#options = options;
    this.#since = options.since > 0n ? timeText(options.since) : "";
    this.#until = options.until > 0n ? timeText(options.until) : "";
    this.#timed = options.timestamps || this.#since !== "" || this.#until !== "";
  }

  /** True once a record was later than `until`. */
  get done(): boolean {
    return this.#done;
  }

  /** What the records of a block of the log become. */
  block(block: Uint8Array, parser: LogParser): Uint8Array {
    const output = new Output(block.length + 1024); // a record's own head is longer than a frame's and a time
    parser.feed(block, (record) => {
      const time = this.#timed ? timeOf(record) : "";
      const { stream, partial, bytes, textStart, textEnd } = record;
      this.#add(output, { time, stream, partial, text: bytes, from: textStart, to: textEnd });
    });
    return output.bytes;
  }

  pieces(pieces: readonly LogPiece[]): Uint8Array {
    const output = new Output(1024);
    for (const piece of pieces) this.#add(output, { ...piece, from: 0, to: piece.text.length });
    return output.bytes;
  }

  #add(output: Output, { time, stream, partial, text, from, to }: Piece): void {
    if (this.#until !== "" && time > this.#until) this.#done = true;
    if (this.#done || time < this.#since || !this.#options[stream]) return;
    const middle = this.#middle.has(stream);
    if (partial) this.#middle.add(stream);
    else this.#middle.delete(stream);
    const prefix = middle ? undefined : this.#prefix(time);
    const length = (prefix?.length ?? 0) + to - from + (partial ? 0 : 1);
    if (!this.#options.raw) output.add(frameHeader(stream, length));
    if (prefix) output.add(prefix);
    output.add(text, from, to);
    if (!partial) output.add(lineEnd);
  }

  #prefix(time: string): Uint8Array | undefined {
    const { timestamps, details, attributes } = this.#options;
    if (!timestamps && !details) return undefined;
    return Buffer.from(`${timestamps ? `${time} ` : ""}${details ? `${attributes} ` : ""}`);
  }
}

const lineEnd = Buffer.from("\n");

/** One buffer for a whole block: a log is as long as its container likes, and garbage is memory, too. */
class Output {
  #buffer: Buffer;
  #filled = 0;

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafeSlow(size);
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#filled);
  }

  add(bytes: Uint8Array, from = 0, to = bytes.length): void {
    const end = this.#filled + to - from;
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, this.#filled);
      this.#buffer = larger;
    }
    Buffer.prototype.copy.call(bytes, this.#buffer, this.#filled, from, to);
    this.#filled = end;
  }
}
