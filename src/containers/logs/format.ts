import { frameHeader } from "../../stream/mod.ts";
import type { LogOptions } from "../containers.ts";
import type { StreamName } from "../hub.ts";
import type { LogRecord } from "./record.ts";
import { timeText } from "./times.ts";

const lineEnd = Buffer.from("\n");

export type FormatOptions = Pick<LogOptions, "stdout" | "stderr" | "timestamps" | "details" | "since" | "until"> & {
  /** A terminal's output: bytes without frames. */
  readonly raw: boolean;
  /** What `details` puts before a line: `key=value,…`, or nothing. */
  readonly attributes: string;
};

/** Turns records into what a client sees: a partial one joins what follows without a newline, and without a second time. */
export class LogFormat {
  readonly #options: FormatOptions;
  readonly #since: string;
  readonly #until: string;
  readonly #middle = new Set<StreamName>();
  #done = false;

  constructor(options: FormatOptions) {
    this.#options = options;
    this.#since = options.since > 0n ? timeText(options.since) : "";
    this.#until = options.until > 0n ? timeText(options.until) : "";
  }

  /** True once a record was later than `until`. */
  get done(): boolean {
    return this.#done;
  }

  /** One buffer for all, and none in between: a log is as long as its container likes, and garbage is memory, too. */
  render(records: readonly LogRecord[]): Uint8Array {
    const parts: Uint8Array[] = [];
    for (const record of records) {
      const own = this.#partsOf(record);
      if (!own) continue;
      const length = own.reduce((sum, part) => sum + part.length, 0);
      if (!this.#options.raw) parts.push(frameHeader(record.stream, length));
      parts.push(...own);
    }
    return Buffer.concat(parts);
  }

  #partsOf({ time, stream, partial, text }: LogRecord): readonly Uint8Array[] | undefined {
    const { timestamps, details, attributes } = this.#options;
    if (this.#until !== "" && time > this.#until) this.#done = true;
    if (this.#done || time < this.#since || !this.#options[stream]) return undefined;
    const middle = this.#middle.has(stream);
    if (partial) this.#middle.add(stream);
    else this.#middle.delete(stream);
    const prefix = middle ? "" : `${timestamps ? `${time} ` : ""}${details ? `${attributes} ` : ""}`;
    return [...(prefix === "" ? [] : [Buffer.from(prefix)]), text, ...(partial ? [] : [lineEnd])];
  }
}
