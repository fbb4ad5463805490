import { EngineError } from "../../errors/mod.ts";
import type { CgroupControls } from "../../host/mod.ts";
import type { HostConfig, Resources } from "../../wire/mod.ts";
import { expandList } from "./cpuset.ts";

export interface Here {
  readonly controls: CgroupControls;
  readonly cpuCount: number;
  /** An update may change memory and swap together without the memory itself. */
  readonly update?: boolean;
}

/** What is left of what was asked for, and what the user is told about the rest. */
export interface Settled<T> {
  readonly resources: T;
  readonly warnings: readonly string[];
}

const smallestMemory = 6 * 1024 * 1024;

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}

/**
 * Limits by the rules of moby's `verifyPlatformContainerResources`: throws "invalid" in Docker's words for what makes no sense, and
 * takes out what this host's cgroups cannot do, each with Docker's warning.
 */
export function settleResources<T extends Resources>(asked: T, here: Here): Settled<T> {
  const resources = discard(asked, here.controls);
  checkMemory(resources.kept, here);
  checkCpu(resources.kept, here.cpuCount);
  checkCpuset(resources.kept, here.controls);
  checkBlkio(resources.kept);
  checkUlimits(resources.kept);
  checkDevices(resources.kept);
  return { resources: resources.kept, warnings: [...resources.warnings, ...dangers(resources.kept)] };
}

/** What an update cannot change either. Throws "invalid". */
export function checkProcess(host: HostConfig): void {
  if (host.ShmSize < 0) throw invalid("SHM size can not be less than 0");
  const score = host.OomScoreAdj;
  if (score < -1000 || score > 1000) {
    throw invalid(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  }
}

const unmounted = "or the cgroup is not mounted.";

/** One thing that a host may be without: whether it was asked for, the warning, and what is put in its place. */
type Discard = readonly [
  control: keyof CgroupControls,
  asked: (r: Resources) => boolean,
  warning: string,
  instead: Partial<Resources>,
];

const discards: readonly Discard[] = [
  [
    "memory",
    (r) => r.Memory > 0,
    `Your kernel does not support memory limit capabilities ${unmounted} Limitation discarded.`,
    { Memory: 0, MemorySwap: -1 },
  ],
  [
    "swap",
    (r) => r.Memory > 0 && r.MemorySwap !== -1,
    `Your kernel does not support swap limit capabilities ${unmounted} Memory limited without swap.`,
    { MemorySwap: -1 },
  ],
  [
    "swappiness",
    (r) => r.MemorySwappiness !== null && r.MemorySwappiness !== -1,
    `Your kernel does not support memory swappiness capabilities ${unmounted} Memory swappiness discarded.`,
    { MemorySwappiness: null },
  ],
  [
    "reservation",
    (r) => r.MemoryReservation > 0,
    `Your kernel does not support memory soft limit capabilities ${unmounted} Limitation discarded.`,
    { MemoryReservation: 0 },
  ],
  [
    "oomKillDisable",
    (r) => r.OomKillDisable === true,
    "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    { OomKillDisable: null },
  ],
  [
    "pids",
    (r) => (r.PidsLimit ?? 0) > 0,
    `Your kernel does not support PIDs limit capabilities ${unmounted} PIDs limit discarded.`,
    { PidsLimit: null },
  ],
  [
    "cpuShares",
    (r) => r.CpuShares > 0,
    `Your kernel does not support CPU shares ${unmounted} Shares discarded.`,
    { CpuShares: 0 },
  ],
  [
    "cpuQuota",
    (r) => r.CpuPeriod !== 0 || r.CpuQuota !== 0,
    "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
    { CpuPeriod: 0, CpuQuota: 0 },
  ],
  [
    "cpuset",
    (r) => r.CpusetCpus !== "" || r.CpusetMems !== "",
    `Your kernel does not support cpuset ${unmounted} Cpuset discarded.`,
    { CpusetCpus: "", CpusetMems: "" },
  ],
  [
    "blkioWeight",
    (r) => r.BlkioWeight > 0,
    `Your kernel does not support Block I/O weight ${unmounted} Weight discarded.`,
    { BlkioWeight: 0 },
  ],
  [
    "blkioWeightDevice",
    (r) => filled(r.BlkioWeightDevice),
    `Your kernel does not support Block I/O weight_device ${unmounted} Weight-device discarded.`,
    { BlkioWeightDevice: [] },
  ],
  [
    "readBps",
    (r) => filled(r.BlkioDeviceReadBps),
    `Your kernel does not support BPS Block I/O read limit ${unmounted} Block I/O BPS read limit discarded.`,
    { BlkioDeviceReadBps: [] },
  ],
  [
    "writeBps",
    (r) => filled(r.BlkioDeviceWriteBps),
    `Your kernel does not support BPS Block I/O write limit ${unmounted} Block I/O BPS write limit discarded.`,
    { BlkioDeviceWriteBps: [] },
  ],
  [
    "readIOps",
    (r) => filled(r.BlkioDeviceReadIOps),
    `Your kernel does not support IOPS Block read limit ${unmounted} Block I/O IOPS read limit discarded.`,
    { BlkioDeviceReadIOps: [] },
  ],
  [
    "writeIOps",
    (r) => filled(r.BlkioDeviceWriteIOps),
    `Your kernel does not support IOPS Block write limit ${unmounted} Block I/O IOPS write limit discarded.`,
    { BlkioDeviceWriteIOps: [] },
  ],
];

function discard<T extends Resources>(asked: T, controls: CgroupControls): { kept: T; warnings: string[] } {
  if (asked.NanoCpus > 0 && !controls.cpuQuota) {
    throw invalid(
      `NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler ${unmounted.slice(0, -1)}`,
    );
  }
  if ((asked.CpuRealtimePeriod !== 0 || asked.CpuRealtimeRuntime !== 0) && !controls.cpuRealtime) {
    throw invalid("Your kernel does not support CPU real-time scheduler");
  }
  let kept = asked;
  const warnings: string[] = [];
  for (const [control, isAsked, warning, instead] of discards) {
    if (controls[control] || !isAsked(kept)) continue;
    warnings.push(warning);
    kept = { ...kept, ...instead };
  }
  return { kept, warnings };
}

function checkMemory(resources: Resources, { update = false }: Here): void {
  const { Memory, MemorySwap, MemoryReservation, MemorySwappiness } = resources;
  if (Memory !== 0 && Memory < smallestMemory) throw invalid("Minimum memory limit allowed is 6MB");
  if (MemorySwap > 0 && Memory > 0 && MemorySwap < Memory) {
    throw invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (MemorySwap > 0 && Memory === 0 && !update) {
    throw invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
  }
  if (MemorySwap < -1) throw invalid(`Invalid value ${MemorySwap} for memory-swap: -1 is no limit`);
  const swappiness = MemorySwappiness ?? -1;
  if (swappiness < -1 || swappiness > 100) {
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  if (MemoryReservation !== 0 && MemoryReservation < smallestMemory) {
    throw invalid("Minimum memory reservation allowed is 6MB");
  }
  if (Memory > 0 && MemoryReservation > Memory) {
    throw invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
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
  if (host.CpuShares < 0) throw invalid(`invalid CPU shares (${host.CpuShares}): value must be a positive integer`);
}

function checkCpuset({ CpusetCpus, CpusetMems }: Resources, { cpus, mems }: CgroupControls): void {
  requireOnly(CpusetCpus, { words: "CPUs", file: "cpus", there: cpus });
  requireOnly(CpusetMems, { words: "memory nodes", file: "mems", there: mems });
}

/** Throws "invalid" for a list that is none, or that has numbers which are not there. Where that is not known, the kernel says it. */
function requireOnly(list: string, { words, file, there }: { words: string; file: string; there: string }): void {
  const wanted = expandList(list);
  if (!wanted) throw invalid(`Invalid value ${list} for cpuset ${file}: invalid format: ${list}`);
  const available = expandList(there);
  if (!available || available.size === 0 || [...wanted].every((one) => available.has(one))) return;
  throw invalid(`Requested ${words} are not available - requested ${list}, available: ${there}`);
}

function checkBlkio(resources: Resources): void {
  const { BlkioWeight, BlkioWeightDevice } = resources;
  for (const list of [
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
  ] as const) {
    for (const { Path, Rate } of resources[list] ?? []) {
      if (Rate < 0) throw invalid(`invalid rate for device: ${Path}:${Rate}`);
    }
  }
  const range = (weight: number) => weight === 0 || (weight >= 10 && weight <= 1000);
  if (!range(BlkioWeight)) throw invalid("Range of blkio weight is from 10 to 1000");
  for (const { Path, Weight } of BlkioWeightDevice ?? []) {
    if (!range(Weight)) throw invalid(`invalid weight for device: ${Path}:${Weight}`);
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

function dangers(host: Resources): string[] {
  const found: string[] = [];
  if (host.OomKillDisable && host.Memory === 0) {
    const danger = "this can result in the system running out of resources.";
    found.push(`OOM killer is disabled for the container, but no memory limit is set, ${danger}`);
  }
  if (host.KernelMemoryTCP) found.push("Specifying a kernel TCP memory limit is deprecated and has no effect");
  return found;
}

function filled(list: readonly unknown[] | null): boolean {
  return list !== null && list.length > 0;
}
