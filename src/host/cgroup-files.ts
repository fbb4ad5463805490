import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupUsage } from "./host.ts";

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
    io: text(file("io.stat")).split("\n").flatMap(ioStatLine),
  };
}

/** Counters of a cgroup in the v1 hierarchies; zeros when it is gone or its controller is not mounted. */
export function readV1Usage(root: string, path: string): CgroupUsage {
  const file = (controller: string, name: string) => join(root, controller, path, name);
  const cpu = flatKeys(file("cpu", "cpu.stat"));
  return {
    cpu: {
      totalNs: single(file("cpuacct", "cpuacct.usage")),
      userNs: single(file("cpuacct", "cpuacct.usage_user")),
      systemNs: single(file("cpuacct", "cpuacct.usage_sys")),
      periods: numberIn(cpu, "nr_periods"),
      throttledPeriods: numberIn(cpu, "nr_throttled"),
      throttledNs: numberIn(cpu, "throttled_time"),
    },
    memory: {
      usage: single(file("memory", "memory.usage_in_bytes")),
      limit: single(file("memory", "memory.limit_in_bytes")),
      stats: Object.fromEntries(flatKeys(file("memory", "memory.stat"))),
    },
    pids: { current: single(file("pids", "pids.current")), limit: single(file("pids", "pids.max")) },
    io: text(file("blkio", "blkio.throttle.io_service_bytes_recursive")).split("\n").flatMap(blkioLine),
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

/** `8:0 rbytes=1 wbytes=2 rios=…` */
function ioStatLine(line: string): CgroupUsage["io"][number][] {
  const match = /^(\d+):(\d+) .*?rbytes=(\d+) wbytes=(\d+)/.exec(line);
  if (!match) return [];
  const device = { major: Number(match[1]), minor: Number(match[2]) };
  return [
    { ...device, op: "read", bytes: Number(match[3]) },
    { ...device, op: "write", bytes: Number(match[4]) },
  ];
}

/** `8:0 Read 4096`; the other words (Sync, Async, Discard, Total) count the same bytes again. */
function blkioLine(line: string): CgroupUsage["io"][number][] {
  const match = /^(\d+):(\d+) (Read|Write) (\d+)$/.exec(line);
  if (!match) return [];
  const op = match[3] === "Read" ? "read" : "write";
  return [{ major: Number(match[1]), minor: Number(match[2]), op, bytes: Number(match[4]) }];
}

function text(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // gone, or its controller is not there
  }
}
