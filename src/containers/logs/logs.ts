import { EngineError } from "../../errors/mod.ts";
import type { Bytes } from "../../stream/mod.ts";
import type { LogOptions } from "../containers.ts";
import type { Context } from "../context.ts";
import { pathsOf } from "../paths.ts";
import { resolve } from "../refs.ts";
import type { Row } from "../table.ts";
import { isLive } from "../transition.ts";
import { attributesOf } from "./attributes.ts";
import { LogFormat } from "./format.ts";
import { readJournal } from "./journal.ts";
import { findJournal } from "./journal-access.ts";
import { readLog } from "./read.ts";

export interface Logs {
  readonly kind: "raw" | "multiplexed";
  readonly bytes: Bytes;
}

/**
 * A container's log, also of one that has ended or never ran. Following ends with the process, also when its restart policy
 * starts it again, as in Docker. Throws "not-implemented" when the container keeps no log, "invalid" when no stream is
 * chosen.
 */
export async function logs(ctx: Context, ref: string, options: LogOptions): Promise<Logs> {
  const row = resolve(ctx.table, ref);
  const { hostConfig, config, phase } = row;
  if (!options.stdout && !options.stderr) {
    throw new EngineError("invalid", "Bad parameters: you must choose at least one stream");
  }
  if (phase === "dead" || phase === "removing") {
    throw new EngineError("conflict", "can not get logs from container which is dead or marked for removal");
  }
  if (hostConfig.LogConfig.Type === "none") {
    throw new EngineError("not-implemented", "configured logging driver does not support reading");
  }
  const attributes = options.details ? attributesOf(row) : "";
  const format = new LogFormat({ ...options, raw: config.Tty, attributes });
  const end = options.follow && isLive(phase) ? endOf(ctx, { id: row.id, options }) : undefined;
  const reading = { options, format, ...(end && { end }) };
  const journal = hostConfig.LogConfig.Type === "journald";
  const bytes = journal ? fromJournal(ctx, row, reading) : fromFiles(ctx, row, reading);
  return { kind: config.Tty ? "raw" : "multiplexed", bytes };
}

interface Reading {
  readonly options: LogOptions;
  readonly format: LogFormat;
  readonly end?: AbortSignal;
}

function fromFiles(ctx: Context, row: Row, reading: Reading): Bytes {
  const { changes, pins } = ctx.logs;
  const released = () => ctx.logs.released(row);
  return readLog({ ...reading, log: pathsOf(ctx.config, row.id).log, changes, pins, released });
}

function fromJournal(ctx: Context, row: Row, reading: Reading): Bytes {
  const { program } = ctx.config.journal ?? findJournal();
  if (program === undefined)
    throw new EngineError("unavailable", "journalctl is not installed: the log cannot be read");
  return readJournal({ ...reading, processes: ctx.host.processes, program, id: row.id });
}

/** The longest that a timer can wait, in milliseconds. */
const farthest = 2 ** 31 - 1;

/** Aborts when the container has ended (conmon has written everything by then), `until` has passed, or the client leaves. */
function endOf(ctx: Context, { id, options }: { id: string; options: LogOptions }): AbortSignal {
  const ended = new AbortController();
  void ctx.waiters.next(id, { signal: options.signal }).then(
    () => ended.abort(),
    () => ended.abort(),
  );
  const left = options.until === 0n ? farthest : Number(options.until / 1_000_000n) - Date.now();
  if (left >= farthest) return ended.signal;
  return AbortSignal.any([ended.signal, AbortSignal.timeout(Math.max(0, left))]);
}
