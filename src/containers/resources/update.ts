import { cpus } from "node:os";
import { EngineError, isKind, kindOf, messageOf } from "../../errors/mod.ts";
import { lifted, resourcesOf as runtimeResources } from "../../runtime/mod.ts";
import { type HostConfig, noLimits, type Resources, type UpdateBody } from "../../wire/mod.ts";
import type { Context } from "../context.ts";
import { publishing } from "../event.ts";
import { resolve } from "../refs.ts";
import { resourcesOf } from "../spec.ts";
import type { Row } from "../table.ts";
import { isLive } from "../transition.ts";
import { checkRestart } from "../validate.ts";
import { settleResources } from "./check.ts";

/**
 * Changes limits and the restart policy, at once where it runs. A limit that is 0 or absent stays as it is, but for
 * PidsLimit, where 0 and below is no limit. When something is refused, the row and the cgroup are as they were.
 */
export async function update(ctx: Context, ref: string, body: UpdateBody): Promise<{ Warnings: readonly string[] }> {
  const { id } = resolve(ctx.table, ref);
  const { change, warnings } = settleChange(ctx, body);
  return ctx.locks.run(id, async () => {
    const row = resolve(ctx.table, id);
    try {
      const hostConfig = merged(row, change);
      const { RestartPolicy: _, ...limits } = change;
      if (isLive(row.phase) && Object.keys(limits).length > 0) await apply(ctx, { row, hostConfig });
      ctx.table.update(id, { hostConfig }, publishing(ctx, { action: "update" }));
    } catch (err) {
      throw cannot(id, err);
    }
    return { Warnings: warnings };
  });
}

function cannot(id: string, err: unknown): EngineError {
  const kind = isKind(err, "not-found") ? "conflict" : kindOf(err);
  return new EngineError(kind, `Cannot update container ${id}: ${messageOf(err)}`, { cause: err });
}

/** What is changed in a container that runs is all of its limits: a part of them alone would mean other things to a runtime. */
async function apply(ctx: Context, { row, hostConfig }: { row: Row; hostConfig: HostConfig }): Promise<void> {
  const input = resourcesOf(hostConfig);
  const { blockIO: _, ...resources } = runtimeResources({ ...input, throttle: [] }, ctx.config.limits);
  const weight =
    hostConfig.BlkioWeight === row.hostConfig.BlkioWeight ? {} : { blockIO: { weight: input.blkioWeight } };
  await ctx.runtime.limit(row.id, { resources: { ...resources, ...weight }, lift: lifted(input) });
}

type Change = Pick<UpdateBody, "RestartPolicy"> & Partial<Resources>;

/** moby's `UpdateContainer` takes these and no others. */
const changeable = [
  ...["BlkioWeight", "CpuShares", "NanoCpus", "CpuPeriod", "CpuQuota", "CpusetCpus", "CpusetMems"],
  ...["Memory", "MemorySwap", "MemoryReservation", "CpuRealtimePeriod", "CpuRealtimeRuntime", "PidsLimit"],
] as const;

/** Checks what was asked for by itself, as dockerd does before it looks at the container. Throws "invalid". */
function settleChange(
  ctx: Context,
  { RestartPolicy, ...asked }: UpdateBody,
): { change: Change; warnings: readonly string[] } {
  refuseUnchangeable(asked);
  if (RestartPolicy?.Name) checkRestart({ RestartPolicy, AutoRemove: false });
  const here = { controls: ctx.config.limits.controls, cpuCount: cpus().length, update: true };
  const { resources, warnings } = settleResources({ ...noLimits, ...asked }, here);
  const set = Object.entries(resources).filter(([key, value]) => isAsked(key, value));
  return { change: { ...Object.fromEntries(set), ...(RestartPolicy?.Name && { RestartPolicy }) }, warnings };
}

/** Docker's rule: what is absent, null, 0, "" or empty was not asked for, but for no limit of processes. */
function isAsked(key: string, value: unknown): boolean {
  if (key === "PidsLimit") return value !== null && value !== undefined;
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function refuseUnchangeable(asked: Partial<Resources>): void {
  for (const [key, value] of Object.entries(asked)) {
    if (!isAsked(key, value) || (changeable as readonly string[]).includes(key)) continue;
    throw new EngineError("invalid", `${key} cannot be changed by an update: remove the container and create it anew`);
  }
}

function merged({ phase, hostConfig }: Row, change: Change): HostConfig {
  if (phase === "removing" || phase === "dead") {
    throw new EngineError("conflict", 'Container is marked for removal and cannot be "update".');
  }
  checkAgainst(hostConfig, change);
  const pids =
    change.PidsLimit === undefined || change.PidsLimit === null ? {} : { PidsLimit: Math.max(change.PidsLimit, 0) };
  const next = { ...hostConfig, ...change, ...pids };
  if (next.MemorySwap > 0 && next.MemorySwap < next.Memory) {
    throw new EngineError("invalid", "Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  return next;
}

/** What the container has already rules out some changes. Throws "conflict" in Docker's words. */
function checkAgainst(host: HostConfig, change: Change): void {
  const conflicts: readonly (readonly [boolean, string])[] = [
    [
      both(change.NanoCpus, host.CpuPeriod),
      "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
    ],
    [
      both(change.NanoCpus, host.CpuQuota),
      "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
    ],
    [
      both(change.CpuPeriod, host.NanoCpus),
      "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
    ],
    [
      both(change.CpuQuota, host.NanoCpus),
      "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
    ],
    [
      host.MemorySwap !== -1 && (change.Memory ?? 0) > host.MemorySwap && !change.MemorySwap,
      "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    ],
    [
      host.AutoRemove && ![undefined, "no"].includes(change.RestartPolicy?.Name),
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    ],
  ];
  for (const [conflict, message] of conflicts) if (conflict) throw new EngineError("conflict", message);
}

function both(asked: number | undefined, set: number): boolean {
  return (asked ?? 0) > 0 && set > 0;
}
