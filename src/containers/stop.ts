import { after } from "../async/mod.ts";
import { isKind } from "../errors/mod.ts";
import type { StopOptions } from "./containers.ts";
import type { Context } from "./context.ts";
import { publish } from "./event.ts";
import { whyIgnored } from "./ignored-signal.ts";
import { giveUpRestarting, sendSignal, stopSignalOf } from "./kill.ts";
import { resolve } from "./refs.ts";
import { signalNumber } from "./signals.ts";
import { startLocked } from "./start.ts";
import type { Row } from "./table.ts";
import { isLive, transition } from "./transition.ts";
import type { End } from "./wait/waiters.ts";

/** Docker's default, in seconds. */
const defaultTimeout = 10;
/** Milliseconds: a timer that is set to more fires at once. */
const longestTimer = 2 ** 31 - 1;

/** Asks the process to end, and ends it when the time is up. No lock is held while it takes its time. */
export async function stop(ctx: Context, ref: string, options: StopOptions): Promise<void> {
  const { id } = resolve(ctx.table, ref);
  const signal = options.signal ? signalNumber(options.signal) : undefined;
  const asked = await ctx.locks.run(id, () => ask(ctx, { id, signal }));
  if (asked) await untilEnded(ctx, { ...asked, timeout: options.timeout });
  const row = ctx.table.get(id) ?? asked?.row;
  if (row) publish(ctx, row, { action: "stop" });
}

/** Stops what runs and starts it again; a container with `--rm` survives that. */
export async function restart(ctx: Context, ref: string, options: StopOptions): Promise<void> {
  const { id } = resolve(ctx.table, ref);
  using keep = ctx.retries.keep(id);
  await stop(ctx, id, options).catch((err: unknown) => {
    if (!isKind(err, "not-modified")) throw err;
  });
  await ctx.locks.run(id, async () => {
    ctx.retries.forget(id);
    keep.release();
    await startLocked(ctx, { row: resolve(ctx.table, id), restartCount: 0 });
    publish(ctx, resolve(ctx.table, id), { action: "restart" });
  });
}

interface Asked {
  readonly row: Row;
  readonly signal: number;
  readonly waiting: Promise<End>;
}

async function ask(
  ctx: Context,
  { id, signal }: { id: string; signal: number | undefined },
): Promise<Asked | undefined> {
  const before = resolve(ctx.table, id);
  const phase = transition(before.phase, "stop", before);
  if (!isLive(phase)) return giveUpRestarting(ctx, before);
  ctx.retries.forget(id);
  const row = ctx.table.update(id, { stoppedByUser: true, phase });
  const waiting = ctx.waiters.next(id);
  waiting.catch(() => undefined);
  const sent = signal ?? stopSignalOf(row);
  await sendSignal(ctx, { row, signal: sent, final: true });
  return { row, waiting, signal: sent };
}

async function untilEnded(ctx: Context, asked: Asked & { timeout: number | undefined }): Promise<void> {
  const { row, waiting } = asked;
  const seconds = asked.timeout ?? row.config.StopTimeout ?? defaultTimeout;
  if (seconds < 0) return void (await waiting);
  const stopTimer = new AbortController();
  const late = after(Math.min(seconds * 1000, longestTimer), stopTimer.signal).then(
    () => true,
    () => false,
  );
  const timedOut = await Promise.race([waiting.then(() => false), late]);
  stopTimer.abort();
  if (!timedOut) return;
  const ignored = whyIgnored(row, asked.signal);
  if (ignored) ctx.log.warn("a container is killed after its time to stop", { container: row.id, seconds, ignored });
  await ctx.locks.run(row.id, async () => {
    const now = ctx.table.get(row.id);
    if (now && isLive(now.phase) && now.pid === row.pid) await sendSignal(ctx, { row: now, signal: 9, final: true });
  });
  await waiting;
}
