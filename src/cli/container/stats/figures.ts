import type { ContainerStats } from "../../../wire/mod.ts";
import type { Column } from "../../output/table.ts";
import { binarySize, decimalSize, shortId } from "../../output/units.ts";

/** A sample of one container, under the name that the user gave, or its id. */
export interface Measured {
  readonly container: string;
  readonly stats: ContainerStats;
}

export const columns = (full: boolean): Column<Measured>[] => {
  const id = (text: string) => (full ? text : shortId(text));
  return [
    {
      name: "Container",
      heading: "CONTAINER",
      value: ({ container, stats }) => (container === stats.id ? id(container) : container),
    },
    { name: "ID", heading: "CONTAINER ID", value: ({ stats }) => id(stats.id) },
    { name: "Name", heading: "NAME", value: ({ stats }) => stats.name.replace(/^\//, ""), shrinks: true },
    { name: "CPUPerc", heading: "CPU %", value: ({ stats }) => percent(cpuPercent(stats)) },
    {
      name: "MemUsage",
      heading: "MEM USAGE / LIMIT",
      value: ({ stats }) => both([memoryUsed(stats), memoryLimit(stats)], binarySize),
    },
    { name: "MemPerc", heading: "MEM %", value: ({ stats }) => percent(memoryPercent(stats)) },
    { name: "NetIO", heading: "NET I/O", value: ({ stats }) => both(traffic(stats), decimalSize) },
    { name: "BlockIO", heading: "BLOCK I/O", value: ({ stats }) => both(blocks(stats), decimalSize) },
    { name: "PIDs", heading: "PIDS", value: ({ stats }) => String(stats.pids_stats.current ?? 0) },
  ];
};

export const shown = ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"];

function percent(value: number): string {
  return `${value.toFixed(2)}%`;
}

function both([a, b]: readonly [number, number], text: (bytes: number) => string): string {
  return `${text(a)} / ${text(b)}`;
}

/** Of one processor: two that are busy are 200 %. */
export function cpuPercent({ cpu_stats: now, precpu_stats: before }: ContainerStats): number {
  const used = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const passed = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  const processors = now.online_cpus || (now.cpu_usage.percpu_usage?.length ?? 0);
  return used > 0 && passed > 0 ? (used / passed) * processors * 100 : 0;
}

/** Without the cache that the kernel would give up first; on cgroup v1 that counts the children's with a name of its own. */
export function memoryUsed({ memory_stats: { usage = 0, stats = {} } }: ContainerStats): number {
  const cache = stats["total_inactive_file"] ?? stats["inactive_file"] ?? 0;
  return cache < usage ? usage - cache : usage;
}

function memoryLimit({ memory_stats }: ContainerStats): number {
  return memory_stats.limit ?? 0;
}

function memoryPercent(stats: ContainerStats): number {
  const limit = memoryLimit(stats);
  return limit === 0 ? 0 : (memoryUsed(stats) / limit) * 100;
}

function traffic({ networks = {} }: ContainerStats): [number, number] {
  const all = Object.values(networks);
  return [all.reduce((sum, one) => sum + one.rx_bytes, 0), all.reduce((sum, one) => sum + one.tx_bytes, 0)];
}

function blocks({ blkio_stats }: ContainerStats): [number, number] {
  const sum = (op: string) =>
    (blkio_stats.io_service_bytes_recursive ?? []).reduce(
      (total, one) => total + (one.op.toLowerCase() === op ? one.value : 0),
      0,
    );
  return [sum("read"), sum("write")];
}
