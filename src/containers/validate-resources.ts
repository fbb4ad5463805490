import { EngineError } from "../errors/mod.ts";
import type { HostConfig, Resources } from "../wire/mod.ts";

const smallestMemory = 6 * 1024 * 1024;

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}

/** Limits as moby's `verifyPlatformContainerResources` checks them; returns warnings. `cpuCount` is the host's. */
export function checkResources(host: Resources & Partial<HostConfig>, cpuCount: number): string[] {
  checkMemory(host);
  checkCpu(host, cpuCount);
  if (host.BlkioWeight !== 0 && (host.BlkioWeight < 10 || host.BlkioWeight > 1000)) {
    throw invalid("Range of blkio weight is from 10 to 1000");
  }
  if ((host.ShmSize ?? 0) < 0) throw invalid("SHM size can not be less than 0");
  const score = host.OomScoreAdj ?? 0;
  if (score < -1000 || score > 1000) {
    throw invalid(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  }
  checkUlimits(host);
  checkDevices(host);
  return warnings(host);
}

function checkMemory({ Memory, MemorySwap, MemoryReservation, MemorySwappiness }: Resources): void {
  if (Memory !== 0 && Memory < smallestMemory) throw invalid("Minimum memory limit allowed is 6MB");
  if (MemorySwap > 0 && Memory === 0) {
    throw invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
  }
  if (MemorySwap > 0 && MemorySwap < Memory) {
    throw invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (MemoryReservation !== 0 && MemoryReservation < smallestMemory) {
    throw invalid("Minimum memory reservation allowed is 6MB");
  }
  if (Memory > 0 && MemoryReservation > Memory) {
    throw invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
  }
  const swappiness = MemorySwappiness ?? -1;
  if (swappiness < -1 || swappiness > 100) {
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
}

function checkCpu(host: Resources, cpuCount: number): void {
  const { NanoCpus, CpuPeriod, CpuQuota } = host;
  if (NanoCpus > 0 && CpuPeriod > 0) throw invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  if (NanoCpus > 0 && CpuQuota > 0) throw invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  if (NanoCpus < 0 || NanoCpus > cpuCount * 1e9) {
    const range = `Range of CPUs is from 0.01 to ${cpuCount}.00`;
    throw invalid(`${range}, as there are only ${cpuCount} CPUs available`);
  }
  if (CpuPeriod !== 0 && (CpuPeriod < 1000 || CpuPeriod > 1_000_000)) {
    throw invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  }
  if (CpuQuota > 0 && CpuQuota < 1000) throw invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  if (host.CpuShares < 0) throw invalid("shares must be greater than or equal to 0");
  checkCpuset("cpus", { list: host.CpusetCpus, cpuCount });
  checkCpuset("mems", { list: host.CpusetMems, cpuCount: undefined });
}

function checkCpuset(what: "cpus" | "mems", { list, cpuCount }: { list: string; cpuCount: number | undefined }): void {
  if (list === "") return;
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(list)) throw invalid(`Invalid value ${list} for cpuset ${what}`);
  const highest = Math.max(...list.split(/[,-]/).map(Number));
  if (cpuCount !== undefined && highest >= cpuCount) {
    throw invalid(`Requested CPUs are not available - requested ${list}, available: 0-${cpuCount - 1}`);
  }
}

const ulimits = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(" "),
);

function checkUlimits({ Ulimits }: Resources): void {
  for (const { Name, Soft, Hard } of Ulimits ?? []) {
    if (!ulimits.has(Name)) throw invalid(`invalid ulimit type: ${Name}`);
    if (Hard !== -1 && Soft > Hard) {
      throw invalid(`ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`);
    }
  }
}

function checkDevices({ Devices, DeviceCgroupRules }: Resources): void {
  for (const { PathOnHost, CgroupPermissions } of Devices ?? []) {
    if (!PathOnHost.startsWith("/")) throw invalid(`invalid device path: ${PathOnHost}`);
    if (!/^[rwm]*$/.test(CgroupPermissions)) throw invalid(`invalid device mode: ${CgroupPermissions}`);
  }
  for (const rule of DeviceCgroupRules ?? []) {
    if (!/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(rule))
      throw invalid(`invalid device cgroup rule format: '${rule}'`);
  }
}

function warnings(host: Resources): string[] {
  const found: string[] = [];
  if (host.OomKillDisable && host.Memory === 0) {
    const danger = "this can result in the system running out of resources.";
    found.push(`OOM killer is disabled for the container, but no memory limit is set, ${danger}`);
  }
  if (host.KernelMemoryTCP) found.push("Specifying a kernel TCP memory limit is deprecated and has no effect");
  return found;
}
