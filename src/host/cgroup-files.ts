import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupUsage, IoCounter } from "./host.ts";
import { tickNs } from "./usage.ts";

/** v1 has no word for "no limit": it shows the largest multiple of the page size, just below 2^63. */
const v1Unlimited = 2 ** 62;

/** Counters of a cgroup in the v2 tree; zeros when it is gone. */
export function readV2Usage(root: string, path: string): CgroupUsage {
  const file = (name: string) => join(root, path, name);
  const cpu = flatKeys(file("cpu.stat"));
  const ns = (key: string) => numberIn(cpu, key) * 1000;
  return {
    cpu: {
      totalNs: ns("usage_usec"),
      userNs: ns("user_usec"),
      systemNs: ns("system_usec"),
      periods: numberIn(cpu, "nr_periods"),
      throttledPeriods: numberIn(cpu, "nr_throttled"),
      throttledNs: ns("throttled_usec"),
    },
    memory: {
      usage: single(file("memory.current")),
      limit: single(file("memory.max")),
      stats: Object.fromEntries(flatKeys(file("memory.stat"))),
    },
    pids: { current: single(file("pids.current")), limit: single(file("pids.max")) },
    io: { bytes: text(file("io.stat")).split("\n").flatMap(ioStatLine) },
  };
}

/** Counters of a cgroup in the v1 hierarchies; zeros when it is gone or its controller is not mounted. */
export function readV1Usage(root: string, path: string): CgroupUsage {
  const file = (controller: string, name: string) => join(root, controller, path, name);
  const cpu = flatKeys(file("cpu", "cpu.stat"));
  // Made to fit the total, unlike what usage_user and usage_sys say.
  const modes = flatKeys(file("cpuacct", "cpuacct.stat"));
  return {
    cpu: {
      totalNs: single(file("cpuacct", "cpuacct.usage")),
      userNs: numberIn(modes, "user") * tickNs,
      systemNs: numberIn(modes, "system") * tickNs,
      perCpuNs: numbers(file("cpuacct", "cpuacct.usage_percpu")),
      periods: numberIn(cpu, "nr_periods"),
      throttledPeriods: numberIn(cpu, "nr_throttled"),
      throttledNs: numberIn(cpu, "throttled_time"),
    },
    memory: {
      usage: single(file("memory", "memory.usage_in_bytes")),
      limit: single(file("memory", "memory.limit_in_bytes")),
      maxUsage: single(file("memory", "memory.max_usage_in_bytes")),
      failures: single(file("memory", "memory.failcnt")),
      stats: Object.fromEntries(flatKeys(file("memory", "memory.stat"))),
    },
    pids: { current: single(file("pids", "pids.current")), limit: single(file("pids", "pids.max")) },
    io: {
      bytes: text(file("blkio", "blkio.throttle.io_service_bytes_recursive")).split("\n").flatMap(blkioLine),
      operations: text(file("blkio", "blkio.throttle.io_serviced_recursive")).split("\n").flatMap(blkioLine),
    },
  };
}

/** "key value" lines. */
export function flatKeys(file: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text(file).split("\n")) {
    const [key = "", value] = line.split(" ");
    if (value !== undefined) found.set(key, Number(value));
  }
  return found;
}

export function numberIn(keys: ReadonlyMap<string, number>, key: string): number {
  return keys.get(key) ?? 0;
}

function single(file: string): number {
  const value = text(file).trim();
  if (value === "max") return Number.POSITIVE_INFINITY;
  const number = Number(value);
  return number >= v1Unlimited ? Number.POSITIVE_INFINITY : number;
}

function numbers(file: string): number[] {
  return text(file)
    .split(/\s+/)
    .filter((word) => word !== "")
    .map(Number);
}

/** `8:0 rbytes=1 wbytes=2 rios=…` */
function ioStatLine(line: string): IoCounter[] {
  const match = /^(\d+):(\d+) .*?rbytes=(\d+) wbytes=(\d+)/.exec(line);
  if (!match) return [];
  const device = { major: Number(match[1]), minor: Number(match[2]) };
  return [
    { ...device, op: "read", value: Number(match[3]) },
    { ...device, op: "write", value: Number(match[4]) },
  ];
}

/** `8:0 Read 4096`; the sum of all devices at the end has none. */
function blkioLine(line: string): IoCounter[] {
  const match = /^(\d+):(\d+) (\w+) (\d+)$/.exec(line);
  if (!match) return [];
  return [{ major: Number(match[1]), minor: Number(match[2]), op: match[3] ?? "", value: Number(match[4]) }];
}

function text(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // gone, or its controller is not there
  }
}
