import { watch } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { EngineError } from "../errors/mod.ts";
import { type Bytes, frameHeader } from "../stream/mod.ts";
import { nanos } from "./clock.ts";
import type { LogOptions } from "./containers.ts";
import type { Context } from "./context.ts";
import type { StreamName } from "./hub.ts";
import { blockSize, LogParser, type LogRecord, tailOffset } from "./log-file.ts";
import { pathsOf } from "./paths.ts";
import { resolve } from "./refs.ts";
import { isLive } from "./transition.ts";

export interface Logs {
  readonly kind: "raw" | "multiplexed";
  readonly bytes: Bytes;
}

/** Throws "not-implemented" when the container keeps no log, "invalid" when no stream is chosen. */
export async function logs(ctx: Context, ref: string, options: LogOptions): Promise<Logs> {
  const { id, config, hostConfig, phase } = resolve(ctx.table, ref);
  if (!options.stdout && !options.stderr) {
    throw new EngineError("invalid", "Bad parameters: you must choose at least one stream");
  }
  if (hostConfig.LogConfig.Type === "none") {
    throw new EngineError("not-implemented", "configured logging driver does not support reading");
  }
  const path = pathsOf(ctx.config, id).log;
  const format = new LogFormat(options, config.Tty);
  const followed = options.follow && isLive(phase);
  const end = followed ? endOf(ctx, { id, options }) : undefined;
  return { kind: config.Tty ? "raw" : "multiplexed", bytes: read({ path, options, format, end }) };
}

/** Aborts when the container has ended (conmon has written everything by then), `until` has passed, or the client leaves. */
function endOf(ctx: Context, { id, options }: { id: string; options: LogOptions }): AbortSignal {
  const ended = new AbortController();
  void ctx.waiters.next(id, { signal: options.signal }).then(
    () => ended.abort(),
    () => ended.abort(),
  );
  const left = options.until === 0n ? undefined : Number(options.until / 1_000_000n) - Date.now();
  return left === undefined ? ended.signal : AbortSignal.any([ended.signal, AbortSignal.timeout(Math.max(0, left))]);
}

interface ReadRequest {
  readonly path: string;
  readonly options: LogOptions;
  readonly format: LogFormat;
  readonly end: AbortSignal | undefined;
}

async function* read({ path, options, format, end }: ReadRequest): Bytes {
  const file = await openLog(path, end);
  if (!file) return;
  const changes = end && new Changes(path, end);
  try {
    let at = options.tail === undefined ? 0 : await tailOffset(file, options.tail);
    const block = Buffer.alloc(blockSize);
    const parser = new LogParser();
    for (;;) {
      const last = !changes || end.aborted; // asked before reading: what was written before the end is read after it
      for (;;) {
        const { bytesRead } = await file.read(block, 0, block.length, at);
        if (bytesRead === 0) break;
        at += bytesRead;
        const bytes = format.render(parser.feed(block.subarray(0, bytesRead)));
        if (bytes.length > 0) yield bytes;
        if (format.done || options.signal.aborted) return;
      }
      if (last) return;
      await changes.next();
    }
  } finally {
    changes?.close();
    await file.close();
  }
}

/** A container that never ran has no log; one that runs has it before it is started. */
async function openLog(path: string, end: AbortSignal | undefined): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (err) {
    if (end && !end.aborted) throw new EngineError("internal", `The log ${path} cannot be read`, { cause: err });
    return undefined;
  }
}

/** News of a file: `next` resolves when it has changed since the last call, or the end has come. */
class Changes {
  readonly #watcher: ReturnType<typeof watch>;
  readonly #end: AbortSignal;
  #dirty = true;
  #wake: (() => void) | undefined;

  constructor(path: string, end: AbortSignal) {
    this.#end = end;
    this.#watcher = watch(path, () => this.#tell());
    end.addEventListener("abort", () => this.#tell(), { once: true });
  }

  async next(): Promise<void> {
    if (!this.#dirty && !this.#end.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#dirty = false;
  }

  close(): void {
    this.#watcher.close();
  }

  #tell(): void {
    this.#dirty = true;
    this.#wake?.();
    this.#wake = undefined;
  }
}

const lineEnd = Buffer.from("\n");

type FormatOptions = Pick<LogOptions, "stdout" | "stderr" | "timestamps" | "details" | "since" | "until">;

/** Turns records into what a client sees: a partial one joins what follows without a newline, and without a second time. */
export class LogFormat {
  readonly #options: FormatOptions;
  readonly #raw: boolean;
  readonly #middle = new Set<StreamName>();
  #done = false;

  constructor(options: FormatOptions, raw: boolean) {
    this.#options = options;
    this.#raw = raw;
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
      if (!this.#raw) parts.push(frameHeader(record.stream, length));
      parts.push(...own);
    }
    return Buffer.concat(parts);
  }

  #partsOf({ time, stream, partial, text }: LogRecord): readonly Uint8Array[] | undefined {
    const { since, until, timestamps, details } = this.#options;
    if (since > 0n || until > 0n) {
      const at = nanos(time) ?? 0n;
      if (until > 0n && at > until) this.#done = true;
      if (this.#done || at < since) return undefined;
    }
    if (!this.#options[stream]) return undefined;
    const middle = this.#middle.has(stream);
    if (partial) this.#middle.add(stream);
    else this.#middle.delete(stream);
    const prefix = middle ? "" : `${timestamps ? `${time} ` : ""}${details ? " " : ""}`;
    return [...(prefix === "" ? [] : [Buffer.from(prefix)]), text, ...(partial ? [] : [lineEnd])];
  }
}
