import {
  type CgroupUsage,
  type InterfaceCounters,
  interfaceCounters,
  type ProcessorTime,
  processorTime,
} from "../../host/mod.ts";
import { instant } from "../clock.ts";
import type { Context } from "../context.ts";
import { networkModeOf } from "../modes.ts";
import { cgroupPath } from "../spec.ts";
import type { Row } from "../table.ts";
import { isLive } from "../transition.ts";

/** What of a sample a later one is compared with. */
export interface CpuSample {
  /** RFC 3339. */
  readonly at: string;
  /** The same instant on a clock that nobody sets, in milliseconds. */
  readonly ticks: number;
  /** When the process started: counters begin anew with each. */
  readonly started: string;
  readonly cpu: CgroupUsage["cpu"];
  readonly processors: ProcessorTime;
}

export interface Sample extends CpuSample {
  readonly usage: CgroupUsage;
  readonly interfaces: readonly InterfaceCounters[];
}

/** Reads some fifteen small kernel files: a fraction of a millisecond. Undefined for a container that has no process. */
export function sampleOf(ctx: Context, id: string): Sample | undefined {
  const row = ctx.table.get(id);
  if (!row || !isLive(row.phase)) return undefined;
  const usage = ctx.host.cgroups.usage(cgroupPath(row, ctx.config.cgroupParent));
  return {
    at: instant(),
    ticks: performance.now(),
    started: row.started,
    cpu: usage.cpu,
    processors: processorTime(),
    usage,
    interfaces: hasNetwork(ctx, row) ? interfaceCounters(row.pid).filter(({ name }) => /^eth\d+$/.test(name)) : [],
  };
}

/** The longest row of containers of which each has joined the network of the next. */
const longestChain = 100;

/** False for those that see the host's interfaces, which are not theirs to count. */
function hasNetwork(ctx: Context, row: Row): boolean {
  let mode = networkModeOf(row.hostConfig.NetworkMode);
  for (let joined = 0; mode.kind === "container" && joined < longestChain; joined++) {
    const other = ctx.table.get(mode.ref) ?? ctx.table.named(mode.ref);
    if (!other) return false;
    mode = networkModeOf(other.hostConfig.NetworkMode);
  }
  return mode.kind === "network";
}
