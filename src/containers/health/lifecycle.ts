import { after } from "../../async/mod.ts";
import { messageOf } from "../../errors/mod.ts";
import { millis } from "../clock.ts";
import type { Context } from "../context.ts";
import { publish } from "../event.ts";
import type { Row } from "../table.ts";
import { begun, type Health, unwatched } from "./machine.ts";
import { actOnFailure } from "./on-failure.ts";
import { planOf } from "./plan.ts";
import { probe } from "./probe.ts";
import { type Clock, watch } from "./watch.ts";

const clock: Clock = { now: () => Date.now(), after };

/** The container's process has started: its health begins anew. */
export function startHealth(ctx: Context, row: Row): void {
  if (!planOf(row.config)) return;
  begin(ctx, row);
  watchHealth(ctx, row);
}

function begin(ctx: Context, row: Row): void {
  ctx.health.put(row.id, { started: row.started, health: begun(ctx.health.of(row.id)) });
}

/** It ran while the daemon did not. What was known of this process holds until the next check; of another one, nothing. */
export function adoptHealth(ctx: Context, row: Row): void {
  if (planOf(row.config) && !ctx.health.ofProcess(row.id, row.started)) begin(ctx, row);
  if (row.phase === "running") watchHealth(ctx, row);
}

/** Nobody checks a container that is stopped or frozen. Resolves when no process of the check is left. */
export async function stopHealth(ctx: Context, row: Pick<Row, "id" | "started">): Promise<void> {
  const watched = ctx.health.unwatch(row.id);
  const before = ctx.health.ofProcess(row.id, row.started);
  if (before) ctx.health.put(row.id, { started: row.started, health: unwatched(before) });
  await watched;
}

/** Checks on from where it was. */
export function watchHealth(ctx: Context, row: Row): void {
  const plan = planOf(row.config);
  const first = ctx.health.ofProcess(row.id, row.started);
  if (!plan || !first || ctx.closing.aborted) return;
  const asked = { row, plan };
  const watched = {
    plan,
    started: millis(row.started),
    clock,
    check: (signal: AbortSignal) => probe(ctx, asked, signal),
    changed: (health: Health, before: Health) => tryChanged(ctx, { row, health, before }),
  };
  ctx.health.watch(row.id, async (signal) => {
    await watch(watched, first, signal).catch((err: unknown) => {
      if (!signal.aborted) ctx.log.error("a health check has ended", { container: row.id, error: messageOf(err) });
    });
  });
}

interface Change {
  readonly row: Row;
  readonly health: Health;
  readonly before: Health;
}

/** A disk that is full for a while must not end the checks for good. */
function tryChanged(ctx: Context, change: Change): void {
  try {
    changed(ctx, change);
  } catch (err) {
    ctx.log.error("could not record a container's health", { container: change.row.id, error: messageOf(err) });
  }
}

function changed(ctx: Context, { row, health, before }: Change): void {
  const { Status } = health;
  const now = ctx.table.get(row.id) ?? row;
  const tell = () => publish(ctx, now, { action: `health_status: ${Status}` });
  ctx.health.put(row.id, { started: row.started, health }, (tx) => {
    if (Status !== before.Status) tx.afterCommit(tell);
  });
  if (Status === "unhealthy" && health.FailingStreak > 0) actOnFailure(ctx, row.id);
}
