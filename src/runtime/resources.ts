import { EngineError } from "../errors/mod.ts";
import type { CgroupLimit } from "../host/mod.ts";
import type { HostLimits, RuntimeResources, SpecInput } from "./runtime.ts";

type Limits = Pick<HostLimits, "controls">;

/**
 * linux.resources without the device rules, also for a live `limit`. Zero means "not set", as in Docker's API. What this
 * host's cgroups cannot do is left out, and the caller warns. `pids` and `quota` below 0 are left out because crun refuses
 * them; unlimited is a new cgroup's default, and {@link lifted} says what an update is to take away.
 */
export function resourcesOf(input: SpecInput["resources"], limits: Limits): RuntimeResources {
  return withoutEmpty({
    memory: memory(input, limits),
    cpu: cpu(input, limits),
    pids: limits.controls.pids && input.pidsLimit > 0 ? { limit: input.pidsLimit } : {},
    blockIO: blockIo(input, limits),
  });
}

/** Without an own limit for memory and swap together Docker allows as much swap as memory; -1 is no limit. */
function memory(input: SpecInput["resources"], limits: Limits): object {
  const swap = input.memorySwap === 0 && input.memory > 0 ? input.memory * 2 : input.memorySwap;
  const { controls } = limits;
  const swappiness = controls.swappiness ? (input.memorySwappiness ?? -1) : -1;
  return {
    ...(controls.memory ? nonZero("limit", input.memory) : {}),
    ...(controls.swap ? nonZero("swap", swap) : {}),
    ...(controls.reservation ? nonZero("reservation", input.memoryReservation) : {}),
    ...(swappiness >= 0 ? { swappiness } : {}),
    ...(controls.oomKillDisable && input.oomKillDisable ? { disableOOMKiller: true } : {}),
  };
}

/** Limits that are explicitly none. */
export function lifted(input: SpecInput["resources"]): CgroupLimit[] {
  return [...(input.cpuQuota < 0 ? (["cpuQuota"] as const) : []), ...(input.pidsLimit < 0 ? (["pids"] as const) : [])];
}

function cpu(input: SpecInput["resources"], { controls }: Limits): object {
  return {
    ...(controls.cpuShares ? nonZero("shares", input.cpuShares) : {}),
    ...(controls.cpuQuota ? bandwidth(input) : {}),
    ...(controls.cpuRealtime ? nonZero("realtimePeriod", input.cpuRealtimePeriod ?? 0) : {}),
    ...(controls.cpuRealtime ? nonZero("realtimeRuntime", input.cpuRealtimeRuntime ?? 0) : {}),
    ...(controls.cpuset && input.cpusetCpus ? { cpus: input.cpusetCpus } : {}),
    ...(controls.cpuset && input.cpusetMems ? { mems: input.cpusetMems } : {}),
  };
}

/** Microseconds in each period of as many. */
function bandwidth(input: SpecInput["resources"]): object {
  const period = 100_000;
  if (input.nanoCpus > 0) return { period, quota: Math.round((input.nanoCpus * period) / 1e9) };
  return { ...nonZero("period", input.cpuPeriod), ...nonZero("quota", Math.max(input.cpuQuota, 0)) };
}

const throttles = {
  readBps: "throttleReadBpsDevice",
  writeBps: "throttleWriteBpsDevice",
  readIOps: "throttleReadIOPSDevice",
  writeIOps: "throttleWriteIOPSDevice",
} as const;

function blockIo(input: SpecInput["resources"], limits: Limits): object {
  const lists: Record<string, object[]> = {};
  for (const { kind, major, minor, rate } of input.throttle) {
    if (!limits.controls[kind]) continue;
    const list = lists[throttles[kind]] ?? [];
    list.push({ major, minor, rate });
    lists[throttles[kind]] = list;
  }
  const { blkioWeight, blkioWeightDevice } = limits.controls;
  const weightDevice = blkioWeightDevice && input.weightDevices?.length ? { weightDevice: input.weightDevices } : {};
  return { ...(blkioWeight ? nonZero("weight", input.blkioWeight) : {}), ...weightDevice, ...lists };
}

function nonZero(key: string, value: number): Record<string, number> {
  return value === 0 ? {} : { [key]: value };
}

function withoutEmpty(groups: Readonly<Record<string, object>>): RuntimeResources {
  return Object.fromEntries(Object.entries(groups).filter(([, group]) => Object.keys(group).length > 0));
}

export interface DeviceRule {
  readonly allow: boolean;
  readonly type?: "a" | "b" | "c";
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

const character = (major: number, minor: number | undefined): DeviceRule => ({
  allow: true,
  type: "c",
  major,
  ...(minor === undefined ? {} : { minor }),
  access: "rwm",
});

/** null, zero, full, random, urandom, tty, ptmx, pts; any node may be made, not opened. runc and crun would add these themselves. */
const defaultRules: readonly DeviceRule[] = [
  { allow: false, access: "rwm" },
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  ...[3, 5, 7, 8, 9].map((minor) => character(1, minor)),
  ...[0, 1, 2].map((minor) => character(5, minor)),
  character(136, undefined),
];

/** Rules of the device cgroup: denied by default; a privileged container may do all. */
export function deviceRules(input: Pick<SpecInput, "privileged" | "devices" | "deviceCgroupRules">): DeviceRule[] {
  if (input.privileged) return [{ allow: true, access: "rwm" }];
  const own = input.devices.flatMap(({ node, permissions }) =>
    node ? [{ allow: true, type: node.type, major: node.major, minor: node.minor, access: permissions }] : [],
  );
  return [...defaultRules, ...own, ...input.deviceCgroupRules.map(parseRule)];
}

/** `c 1:3 rwm`, `b *:* r`, `a *:* rwm`. Throws "invalid" in Docker's words. */
function parseRule(rule: string): DeviceRule {
  const match = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(rule);
  if (!match) throw new EngineError("invalid", `invalid device cgroup rule format: '${rule}'`);
  const [, type, major, minor, access = ""] = match;
  return {
    allow: true,
    type: type as "a" | "b" | "c",
    ...(major === "*" ? {} : { major: Number(major) }),
    ...(minor === "*" ? {} : { minor: Number(minor) }),
    access,
  };
}
