import { messageOf } from "../errors/mod.ts";
import type { Exit } from "../runtime/mod.ts";
import { instant, millis } from "./clock.ts";
import type { Context } from "./context.ts";
import { type ContainerEvent, publishing } from "./event.ts";
import { stopHealth } from "./health/lifecycle.ts";
import { linksOf } from "./links/links.ts";
import { removeLocked } from "./remove.ts";
import { shouldRestart } from "./retry.ts";
import { startLocked } from "./start.ts";
import type { Row } from "./table.ts";
import { endProcess, takeDown } from "./take-down.ts";
import { isLive, type Phase, transition } from "./transition.ts";
import { tellVolumes } from "./volume-events.ts";

/** How long a client that does not read may delay the news of an exit, in milliseconds. */
const flushLimit = 3000;

/** Deals with the end of a container's process: rows, events, what it held, whoever waits, and what comes next. */
export async function exited(ctx: Context, exit: Exit): Promise<void> {
  await ctx.locks.run(exit.id, async () => {
    const row = ctx.table.get(exit.id);
    if (!row || !isLive(row.phase)) return;
    // Of an earlier process: a start that failed late, while the next one already waited for the lock.
    if (exit.pid !== 0 && exit.pid !== row.pid) return;
    await exitedLocked(ctx, { row, exit });
  });
}

/** The same for whoever holds the lock. The output is with its readers before anybody who waits is told. */
export async function exitedLocked(ctx: Context, { row, exit }: { row: Row; exit: Exit }): Promise<void> {
  const next = nextPhase(ctx, { row, exit });
  const patch = { phase: next, pid: 0, exitCode: exit.code, oomKilled: exit.oomKilled, finished: instant(exit.at) };
  const after = ctx.table.update(row.id, patch, publishing(ctx, ...eventsOf(row, exit)));
  ctx.execs.endOf(row.id);
  ctx.logs.ended(row.id);
  const unchecked = stopHealth(ctx, row);
  if (next === "removing") return removed(ctx, after, unchecked);
  await settle(ctx, { row, down: () => unchecked.then(() => takeDown(ctx, row)) });
  ctx.hubs.get(row.id)?.close();
  ctx.waiters.tell(row.id, { kind: "exit", code: exit.code, restarts: next === "restarting" });
  if (next === "restarting") scheduleRetry(ctx, after);
}

/** `--rm`: who waits for the exit is told when the container is gone, or cannot be removed. */
async function removed(ctx: Context, row: Row, unchecked: Promise<void>): Promise<void> {
  const meanwhile = () => settle(ctx, { row, down: () => unchecked.then(() => endProcess(ctx, row)) });
  try {
    await removeLocked(ctx, { row, volumes: true, meanwhile });
  } finally {
    ctx.hubs.get(row.id)?.close();
    ctx.waiters.tell(row.id, { kind: "exit", code: row.exitCode });
  }
}

/** What the process held goes while its last output is on its way. */
async function settle(ctx: Context, { row, down }: { row: Row; down: () => Promise<void> }): Promise<void> {
  const [, taken] = await Promise.allSettled([ctx.hubs.get(row.id)?.flushed(flushLimit), down()]);
  tellVolumes(ctx, row, "unmount");
  if (taken.status === "fulfilled") return;
  ctx.log.error("could not take down a container", { container: row.id, error: messageOf(taken.reason) });
}

function nextPhase(ctx: Context, { row, exit }: { row: Row; exit: Exit }): Phase {
  const ended = transition(row.phase, "exited", row);
  if (row.hostConfig.AutoRemove && !ctx.retries.isKept(row.id)) return transition(ended, "remove", row);
  return shouldRestart(row, exit.code) && !ctx.closing.aborted ? transition(ended, "retry", row) : ended;
}

function eventsOf(row: Row, exit: Exit): ContainerEvent[] {
  const seconds = Math.max(0, Math.round((exit.at - millis(row.started)) / 1000));
  const die = { action: "die", attributes: { exitCode: String(exit.code), execDuration: String(seconds) } };
  return exit.oomKilled ? [{ action: "oom" }, die] : [die];
}

/** Starts it again after a while, and after those that it is linked to; a start that fails ends the retries, and the row says why. */
export function scheduleRetry(ctx: Context, row: Row): void {
  const lasted = millis(row.finished) - millis(row.started);
  const retry = () =>
    void attempt(ctx, row.id).catch((err: unknown) => {
      ctx.log.warn("could not restart a container", { container: row.id, error: messageOf(err) });
    });
  ctx.retries.schedule(row.id, { lasted, retry });
}

async function attempt(ctx: Context, id: string): Promise<void> {
  await ctx.locks.run(id, async () => {
    const row = ctx.table.get(id);
    if (row?.phase !== "restarting" || ctx.closing.aborted) return;
    if (linksOf(row).some((link) => ctx.table.get(link.id)?.phase === "restarting")) return scheduleRetry(ctx, row);
    await startLocked(ctx, { row, restartCount: row.restartCount + 1 });
  });
}
