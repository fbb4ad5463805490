import { after } from "../../async/mod.ts";
import type { ContainerStats } from "../../wire/mod.ts";
import { instant, millis } from "../clock.ts";
import type { Context } from "../context.ts";
import { resolve } from "../refs.ts";
import type { Row } from "../table.ts";
import { isLive } from "../transition.ts";
import { present } from "./present.ts";
import type { CpuSample, Sample } from "./sample.ts";
import { shortestWindow } from "./sampler.ts";

/** How long after its start a container's whole life still is its present, in milliseconds. */
const youth = 10_000;

/**
 * What the container uses now, and with `compared` what it had used a while ago: at once where somebody has asked in the last
 * minute or the container has just started, after a fifth of a second otherwise. Zeros for one that does not run.
 */
export async function stats(
  ctx: Context,
  ref: string,
  { compared, signal }: { readonly compared: boolean; readonly signal: AbortSignal },
): Promise<ContainerStats> {
  const row = resolve(ctx.table, ref);
  return (await current(ctx, { row, compared, signal })).stats;
}

/** The same at once and then every second, until the signal aborts or the container is removed. One that stops goes on with zeros. */
export function followStats(ctx: Context, ref: string, signal: AbortSignal): AsyncIterable<ContainerStats> {
  return follow(ctx, resolve(ctx.table, ref), signal);
}

async function* follow(ctx: Context, row: Row, signal: AbortSignal): AsyncGenerator<ContainerStats> {
  using watch = ctx.sampler.watch(row.id);
  const first = await current(ctx, { row, compared: true, signal });
  yield first.stats;
  for (let before = first.sample; ; ) {
    const sample = await watch.next(signal);
    const now = ctx.table.get(row.id);
    if (signal.aborted || !now) return;
    if (sample && before && sample.ticks - before.ticks < shortestWindow) continue;
    yield present(now, {
      sample,
      before: before && (!sample || before.started === sample.started) ? before : undefined,
    });
    before = sample;
  }
}

interface Wanted {
  readonly row: Row;
  readonly compared: boolean;
  readonly signal: AbortSignal;
}

async function current(
  ctx: Context,
  { row, compared, signal }: Wanted,
): Promise<{ sample?: Sample; stats: ContainerStats }> {
  const base = compared && isLive(row.phase) ? await comparison(ctx, { row, signal }) : undefined;
  const now = ctx.table.get(row.id) ?? row;
  const sample = ctx.sampler.take(row.id);
  if (!sample) return { stats: present(now, {}) };
  const before = base?.started === sample.started ? comparable(base, sample) : undefined;
  return { sample, stats: present(now, { sample, before }) };
}

async function comparison(
  ctx: Context,
  { row, signal }: { row: Row; signal: AbortSignal },
): Promise<CpuSample | undefined> {
  const known = ctx.sampler.kept(row.id, row.started) ?? birth(row);
  if (known) return known;
  const first = ctx.sampler.take(row.id);
  await after(shortestWindow, signal);
  return first;
}

/** A process that has just started had used nothing then. */
function birth({ started }: Row): CpuSample | undefined {
  const age = Date.now() - millis(started);
  if (age < shortestWindow || age > youth) return undefined;
  const none = { totalNs: 0, userNs: 0, systemNs: 0, periods: 0, throttledPeriods: 0, throttledNs: 0 };
  return {
    at: instant(millis(started)),
    ticks: performance.now() - age,
    started,
    cpu: none,
    processors: { totalNs: 0, online: 0 },
  };
}

/** The kernel counts the system's time in hundredths of a second: over a short while the clock knows better what has passed. */
const preciseFrom = 2000;

function comparable(before: CpuSample, sample: Sample): CpuSample {
  const passed = sample.ticks - before.ticks;
  if (passed >= preciseFrom && before.processors.online > 0) return before;
  const { totalNs, online } = sample.processors;
  return { ...before, processors: { totalNs: Math.max(0, totalNs - Math.round(passed * 1e6) * online), online } };
}
