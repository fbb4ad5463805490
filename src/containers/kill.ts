import { EngineError, kindOf, messageOf } from "../errors/mod.ts";
import type { Context } from "./context.ts";
import { publish } from "./event.ts";
import { watchHealth } from "./health/lifecycle.ts";
import { ignoredKey, whyIgnored } from "./ignored-signal.ts";
import { resolve } from "./refs.ts";
import { signalNumber } from "./signals.ts";
import type { Row } from "./table.ts";
import { transition } from "./transition.ts";

/**
 * Sends a signal. One that is meant to end it also ends its restarts, as any does while it waits for one; SIGKILL waits until
 * the process is gone.
 */
export async function kill(ctx: Context, ref: string, signalText: string): Promise<void> {
  try {
    await killNow(ctx, { ref, signal: signalNumber(signalText || "KILL") });
  } catch (err) {
    throw new EngineError(kindOf(err), `cannot kill container: ${ref}: ${messageOf(err)}`, { cause: err });
  }
}

async function killNow(ctx: Context, { ref, signal }: { ref: string; signal: number }): Promise<void> {
  const { id } = resolve(ctx.table, ref);
  const ended = await ctx.locks.run(id, async () => {
    const row = checkKill(ctx, id);
    if (row.phase === "restarting") return giveUpRestarting(ctx, row);
    const final = signal === 9 || signal === stopSignalOf(row);
    if (final) ctx.table.update(id, { stoppedByUser: true });
    const waiting = ctx.waiters.next(id);
    waiting.catch(() => undefined);
    await sendSignal(ctx, { row, signal, final });
    return { waiting };
  });
  if (signal === 9) await ended?.waiting;
}

/** It waits to be started again, and will not be: for whoever waits, its last end is the end. */
export function giveUpRestarting(ctx: Context, row: Row): undefined {
  ctx.retries.forget(row.id);
  ctx.table.update(row.id, { stoppedByUser: true, phase: transition(row.phase, "stop", row) });
  ctx.waiters.tell(row.id, { kind: "exit", code: row.exitCode });
}

function checkKill(ctx: Context, id: string): Row {
  const row = resolve(ctx.table, id);
  transition(row.phase, "kill", row);
  return row;
}

/** The container's own stop signal, SIGTERM by default. */
export function stopSignalOf(row: Row): number {
  return signalNumber(row.config.StopSignal || "TERM");
}

/** A signal and whether it is meant to end the process. */
export interface Sending {
  readonly row: Row;
  readonly signal: number;
  readonly final: boolean;
}

/** A frozen process takes no signal until it is thawed: one that is to end it thaws it. Whoever is gone already is no error. */
export async function sendSignal(ctx: Context, { row, signal, final }: Sending): Promise<void> {
  const ignored = whyIgnored(row, signal);
  try {
    await ctx.runtime.signal(row.id, signal, "init");
    if (final && row.phase === "paused") {
      await ctx.runtime.freeze(row.id, false);
      ctx.table.update(row.id, { phase: transition(row.phase, "unpause", row) });
      watchHealth(ctx, row);
    }
  } catch (err) {
    if (!(await hasEnded(ctx, row))) throw err;
  }
  publish(ctx, row, {
    action: "kill",
    attributes: { signal: String(signal), ...(ignored && { [ignoredKey]: ignored }) },
  });
}

async function hasEnded(ctx: Context, row: Row): Promise<boolean> {
  const left = await ctx.host.processes.ended(row.pid, AbortSignal.timeout(1000)).then(
    () => true,
    () => false,
  );
  return left;
}
