import { readlinkSync, statSync } from "node:fs";
import { posix } from "node:path";
import { EngineError } from "../errors/mod.ts";
import type { ResolvedUser } from "../rootfs/mod.ts";
import { allHostDevices, resolveDevices, type SpecInput } from "../runtime/mod.ts";
import type { HostConfig, Resources } from "../wire/mod.ts";
import { argvOf } from "./config.ts";
import type { Context } from "./context.ts";
import { environment } from "./env.ts";
import { startEnvironment } from "./links/environment.ts";
import { containerIn, joined } from "./modes.ts";
import type { SpecMount } from "./mounts.ts";
import { pathsOf } from "./paths.ts";
import { runtimeName } from "./runtime-name.ts";
import { apparmorOf, parseSecurity } from "./security.ts";
import type { Row } from "./table.ts";
import { capability } from "./validate.ts";

/** What `start` found out that the row does not say. */
export interface StartFacts {
  readonly user: ResolvedUser;
  readonly mounts: readonly SpecMount[];
  readonly namespaces: SpecInput["namespaces"];
}

/** The runtime's input for a container's row, or for another process in it. Throws "invalid" for a device that is not there. */
export function specInput(ctx: Context, row: Row, facts: StartFacts): SpecInput {
  const { config, hostConfig } = row;
  const { cgroupParent, defaultShmSize, defaults } = ctx.config;
  const limits = { ...ctx.config.limits, runtime: runtimeName(hostConfig.Runtime) };
  const security = parseSecurity(hostConfig, defaults);
  const [height, width] = hostConfig.ConsoleSize;
  return {
    id: row.id,
    rootfs: pathsOf(ctx.config, row.id).rootfs,
    readonlyRootfs: hostConfig.ReadonlyRootfs,
    process: {
      args: argvOf(config),
      env: environment({
        config,
        hostname: config.Hostname,
        home: facts.user.home,
        linked: startEnvironment(ctx, row),
      }),
      cwd: config.WorkingDir || "/",
      terminal: config.Tty,
      uid: facts.user.uid,
      gid: facts.user.gid,
      additionalGids: facts.user.additionalGids,
      ...(height > 0 && width > 0 && { size: { rows: height, columns: width } }),
    },
    hostname: config.Hostname,
    domainname: config.Domainname,
    mounts: facts.mounts,
    shmSize: hostConfig.ShmSize || defaultShmSize,
    privileged: hostConfig.Privileged,
    capAdd: (hostConfig.CapAdd ?? []).map(capability),
    capDrop: (hostConfig.CapDrop ?? []).map(capability),
    ...security,
    ...apparmorOf(hostConfig, limits),
    ...(hostConfig.MaskedPaths && { maskedPaths: hostConfig.MaskedPaths }),
    ...(hostConfig.ReadonlyPaths && { readonlyPaths: hostConfig.ReadonlyPaths }),
    namespaces: facts.namespaces,
    sysctls: hostConfig.Sysctls ?? {},
    joinsNetwork: containerIn(hostConfig.NetworkMode) !== undefined,
    cgroupPath: cgroupPath(row, cgroupParent),
    resources: resourcesOf(hostConfig),
    devices: devicesOf(hostConfig),
    deviceCgroupRules: hostConfig.DeviceCgroupRules ?? [],
    rlimits: (hostConfig.Ulimits ?? []).map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard })),
    oomScoreAdj: hostConfig.OomScoreAdj,
    annotations: hostConfig.Annotations ?? {},
    limits,
  };
}

/** With --privileged all of the host's, besides what was asked for by name. */
function devicesOf(host: HostConfig): SpecInput["devices"] {
  const asked = (host.Devices ?? []).map((device) => ({
    hostPath: device.PathOnHost,
    containerPath: device.PathInContainer || device.PathOnHost,
    permissions: device.CgroupPermissions || "rwm",
  }));
  const named = resolveDevices(asked);
  if (!host.Privileged) return named;
  const taken = new Set(named.map((device) => device.containerPath));
  return [...named, ...allHostDevices().filter((device) => !taken.has(device.containerPath))];
}

/** Where the container's cgroup is, relative to each hierarchy's root. */
export function cgroupPath(row: Row, cgroupParent: string): string {
  return posix.join("/", row.hostConfig.CgroupParent || cgroupParent, row.id);
}

/** The namespaces of a container about to start. Throws "not-found"/"conflict" for those of containers that do not run. */
export function namespacesOf(ctx: Context, row: Row): Omit<SpecInput["namespaces"], "network"> {
  const { PidMode, IpcMode, UTSMode, CgroupnsMode } = row.hostConfig;
  return {
    pid: namespaceOf(ctx, { mode: PidMode, file: "pid" }),
    ipc: IpcMode === "none" ? "none" : namespaceOf(ctx, { mode: IpcMode, file: "ipc" }),
    uts: UTSMode === "host" ? "host" : "private",
    cgroup: CgroupnsMode || "private",
  };
}

function namespaceOf(ctx: Context, { mode, file }: { mode: string; file: "pid" | "ipc" }): string {
  if (mode === "host") return "host";
  const ref = containerIn(mode);
  return ref === undefined ? "private" : namespacePath(joined(ctx.table, ref), file);
}

/** The path of a running container's namespace. Throws "conflict" when its process is gone. */
export function namespacePath(row: Row, file: "pid" | "ipc" | "net"): string {
  const path = `/proc/${row.pid}/ns/${file}`;
  try {
    readlinkSync(path);
    return path;
  } catch (err) {
    throw new EngineError("conflict", `cannot join the ${file} namespace of a non running container: ${row.id}`, {
      cause: err,
    });
  }
}

/** Limits in the spec builder's words. */
export function resourcesOf(host: Resources): SpecInput["resources"] {
  return {
    memory: host.Memory,
    memorySwap: swapOf(host),
    memoryReservation: host.MemoryReservation,
    ...(host.MemorySwappiness !== null && host.MemorySwappiness >= 0 && { memorySwappiness: host.MemorySwappiness }),
    oomKillDisable: host.OomKillDisable ?? false,
    nanoCpus: host.NanoCpus,
    cpuShares: host.CpuShares,
    cpuPeriod: host.CpuPeriod,
    cpuQuota: host.CpuQuota,
    cpusetCpus: host.CpusetCpus,
    cpusetMems: host.CpusetMems,
    cpuRealtimePeriod: host.CpuRealtimePeriod,
    cpuRealtimeRuntime: host.CpuRealtimeRuntime,
    pidsLimit: host.PidsLimit === 0 ? -1 : (host.PidsLimit ?? 0),
    blkioWeight: host.BlkioWeight,
    weightDevices: (host.BlkioWeightDevice ?? []).map(({ Path, Weight }) => ({
      ...deviceNumber(Path),
      weight: Weight,
    })),
    throttle: [
      ...throttles("readBps", host.BlkioDeviceReadBps),
      ...throttles("writeBps", host.BlkioDeviceWriteBps),
      ...throttles("readIOps", host.BlkioDeviceReadIOps),
      ...throttles("writeIOps", host.BlkioDeviceWriteIOps),
    ],
  };
}

/** Memory and swap together: twice the memory unless it was said, and no limit where that is more than the kernel counts. */
export function swapOf({ Memory, MemorySwap }: Pick<Resources, "Memory" | "MemorySwap">): number {
  if (MemorySwap !== 0 || Memory <= 0) return MemorySwap;
  return Memory < 2 ** 62 ? Memory * 2 : -1;
}

type Throttle = SpecInput["resources"]["throttle"][number];

function throttles(kind: Throttle["kind"], list: Resources["BlkioDeviceReadBps"]): Throttle[] {
  return (list ?? []).map(({ Path, Rate }) => ({ kind, ...deviceNumber(Path), rate: Rate }));
}

/** glibc's gnu_dev_major and gnu_dev_minor. Throws "invalid". */
function deviceNumber(path: string): { major: number; minor: number } {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new EngineError("invalid", `stat ${path}: no such file or directory`);
  const { rdev } = stat;
  if (!rdev) throw new EngineError("invalid", `invalid device path: ${path} is not a device`);
  const dev = BigInt(rdev);
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return { major: Number(major), minor: Number(minor) };
}
