import { totalmem } from "node:os";
import type { InterfaceCounters } from "../../host/mod.ts";
import type { BlkioStats, ContainerStats, CpuStats, InterfaceStats, MemoryStats } from "../../wire/mod.ts";
import { never } from "../clock.ts";
import type { Row } from "../table.ts";
import type { CpuSample, Sample } from "./sample.ts";

export interface Samples {
  /** Absent: the container has no process. */
  readonly sample?: Sample | undefined;
  /** Absent: there is nothing to compare with. */
  readonly before?: CpuSample | undefined;
}

/** Docker's shape, zeros included (moby `api/types/container/stats.go`: what is zero and optional is left out). */
export function present({ id, name }: Pick<Row, "id" | "name">, { sample, before }: Samples): ContainerStats {
  const networks = (sample?.interfaces ?? []).map((one) => [one.name, interfaceStats(one)] as const);
  return {
    name: `/${name}`,
    id,
    read: sample?.at ?? never,
    preread: before?.at ?? never,
    pids_stats: sample ? pidsStats(sample) : {},
    blkio_stats: blkioStats(sample),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpuStats(sample),
    precpu_stats: cpuStats(before),
    memory_stats: sample ? memoryStats(sample) : {},
    ...(networks.length > 0 && { networks: Object.fromEntries(networks) }),
  };
}

function cpuStats(sample: CpuSample | undefined): CpuStats {
  const { cpu, processors } = sample ?? {};
  return {
    cpu_usage: {
      total_usage: cpu?.totalNs ?? 0,
      ...(cpu?.perCpuNs && { percpu_usage: cpu.perCpuNs }),
      usage_in_kernelmode: cpu?.systemNs ?? 0,
      usage_in_usermode: cpu?.userNs ?? 0,
    },
    ...(processors && { system_cpu_usage: processors.totalNs, online_cpus: processors.online }),
    throttling_data: {
      periods: cpu?.periods ?? 0,
      throttled_periods: cpu?.throttledPeriods ?? 0,
      throttled_time: cpu?.throttledNs ?? 0,
    },
  };
}

/** Without a limit of its own a container may have all that the host has. */
function memoryStats({ usage: { memory } }: Sample): MemoryStats {
  const { maxUsage, failures } = memory;
  return {
    usage: memory.usage,
    ...(maxUsage !== undefined && { max_usage: maxUsage }),
    stats: memory.stats,
    ...(failures ? { failcnt: failures } : {}),
    limit: Math.min(memory.limit, totalmem()),
  };
}

function pidsStats({ usage: { pids } }: Sample): ContainerStats["pids_stats"] {
  return { current: pids.current, ...(Number.isFinite(pids.limit) && { limit: pids.limit }) };
}

/** With v1 every list is there, though today's kernels fill two; with v2 there is one. */
function blkioStats(sample: Sample | undefined): BlkioStats {
  const { bytes = null, operations = null } = sample?.usage.io ?? {};
  const others = operations === null ? null : [];
  return {
    io_service_bytes_recursive: bytes,
    io_serviced_recursive: operations,
    io_queue_recursive: others,
    io_service_time_recursive: others,
    io_wait_time_recursive: others,
    io_merged_recursive: others,
    io_time_recursive: others,
    sectors_recursive: others,
  };
}

function interfaceStats({ received, sent }: InterfaceCounters): InterfaceStats {
  return {
    rx_bytes: received.bytes,
    rx_packets: received.packets,
    rx_errors: received.errors,
    rx_dropped: received.dropped,
    tx_bytes: sent.bytes,
    tx_packets: sent.packets,
    tx_errors: sent.errors,
    tx_dropped: sent.dropped,
  };
}
