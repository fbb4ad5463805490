import { readdirSync, readFileSync } from "node:fs";
import { arch, cpus, hostname, machine, release, totalmem } from "node:os";
import type { SystemService } from "../api/mod.ts";
import { logDriversOf } from "../containers/mod.ts";
import { isKind } from "../errors/mod.ts";
import { commit, version } from "../version/mod.ts";
import type { ContainerStatus, DiskUsage, DiskUsageType } from "../wire/mod.ts";
import type { DaemonConfig } from "./config.ts";
import { examine } from "./doctor/doctor.ts";
import type { Engine } from "./engine.ts";
import { backing } from "./file-system.ts";

type Facts = Awaited<ReturnType<SystemService["info"]>>;

/** What `version`, `info` and `system df` tell. */
export function createSystemService(engine: Engine, config: DaemonConfig): SystemService {
  return {
    greeted: () => engine.runtime.expect(),
    version: () => ({
      version,
      gitCommit: commit,
      buildTime: "",
      kernelVersion: release(),
      arch: arch() === "x64" ? "amd64" : arch(),
      components: components(engine),
    }),
    info: () => facts(engine, config),
    doctor: () => examine(engine, config),
    usage: (types) => usage(engine, types),
  };
}

function components({ runtime }: Engine) {
  const { name, version: runtimeVersion, conmonVersion } = runtime.info;
  return [
    { name, version: runtimeVersion },
    { name: "conmon", version: conmonVersion },
  ];
}

async function facts(engine: Engine, config: DaemonConfig): Promise<Facts> {
  const { info } = engine.runtime;
  const os = osRelease();
  const forwards = readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim() === "1";
  return {
    id: daemonId(),
    name: hostname(),
    version,
    containers: await countContainers(engine),
    images: (await engine.images.list({ filter: new Map(), all: true, sharedSize: false })).length,
    dataRoot: config.dataRoot,
    driverStatus: [
      ["Backing Filesystem", backing(config.dataRoot)],
      ["Runtime chosen", `${info.name}: ${info.reason}`],
    ],
    kernelVersion: release(),
    operatingSystem: os.get("PRETTY_NAME") ?? "Linux",
    osVersion: os.get("VERSION_ID") ?? "",
    machine: machine(),
    cpus: cpus().length,
    memory: totalmem(),
    ...cgroupFacts(engine),
    ipForwarding: forwards,
    debug: config.logLevel === "debug",
    openFiles: readdirSync("/proc/self/fd").length,
    eventListeners: engine.events.listeners,
    runtimes: Object.fromEntries(engine.runtime.all.map(({ name, path }) => [name, { path }])),
    defaultRuntime: info.name,
    loggingDriver: config.logDefaults.Type,
    logDrivers: logDriversOf(),
    securityOptions: securityOptions(engine, config),
    registryMirrors: config.registryMirrors,
    insecureRegistries: ["127.0.0.0/8", ...config.insecureRegistries],
    addressPools: [],
    proxies: { http: environment("HTTP_PROXY"), https: environment("HTTPS_PROXY"), no: environment("NO_PROXY") },
    labels: [],
    warnings: [...warnings(engine, forwards), ...apparmorWarnings(engine)],
  };
}

function cgroupFacts({ host: { cgroups } }: Engine): Pick<Facts, "cgroupDriver" | "cgroupVersion" | "limits"> {
  const { memory, swap, cpuQuota, cpuShares, cpuset, pids, oomKillDisable } = cgroups.controls;
  return {
    cgroupDriver: "cgroupfs",
    cgroupVersion: cgroups.version === "v2" ? "2" : "1",
    limits: { memory, swap, cpuQuota, cpuShares, cpuset, pids, oomKillDisable },
  };
}

/** moby's `fillDriverWarnings` and its fellows (daemon/info.go, info_unix.go). */
function warnings({ host: { cgroups } }: Engine, forwards: boolean): string[] {
  const { controls, version } = cgroups;
  const v1 = version !== "v2";
  const lacking: readonly (readonly [boolean, string])[] = [
    [controls.memory, "No memory limit support"],
    [controls.swap, "No swap limit support"],
    [controls.oomKillDisable || !v1, "No oom kill disable support"],
    [controls.cpuQuota, "No cpu cfs quota support"],
    [controls.cpuQuota, "No cpu cfs period support"],
    [controls.cpuShares, "No cpu shares support"],
    [controls.cpuset, "No cpuset support"],
    [controls.blkioWeight || v1, "No io.weight support"],
    [controls.blkioWeightDevice || v1, "No io.weight (per device) support"],
    [controls.readBps || v1, "No io.max (rbps) support"],
    [controls.writeBps || v1, "No io.max (wbps) support"],
    [controls.readIOps || v1, "No io.max (riops) support"],
    [controls.writeIOps || v1, "No io.max (wiops) support"],
    [forwards, "IPv4 forwarding is disabled"],
  ];
  return lacking.filter(([there]) => !there).map(([, what]) => `WARNING: ${what}`);
}

function apparmorWarnings({ limits }: Engine): string[] {
  if (!limits.apparmor || limits.apparmorProfile !== undefined) return [];
  return ["WARNING: Containers run without an AppArmor profile: apt-get install apparmor, and start the daemon again"];
}

function securityOptions({ limits, userns }: Engine, { containers }: DaemonConfig): string[] {
  const { seccomp: profile, noNewPrivileges } = containers;
  const seccomp = typeof profile === "object" ? "custom" : profile === "unconfined" ? "unconfined" : "builtin";
  const options = [`name=seccomp,profile=${seccomp}`];
  if (limits.apparmor) options.unshift("name=apparmor");
  if (limits.selinux) options.push("name=selinux");
  if (userns.remapped) options.push("name=userns");
  if (limits.cgroupVersion === "v2") options.push("name=cgroupns");
  return noNewPrivileges ? [...options, "name=no-new-privileges"] : options;
}

async function countContainers({ containers }: Engine): Promise<Facts["containers"]> {
  const all = await containers.list({ all: true, limit: 0, size: false, filter: new Map() });
  const count = (...states: ContainerStatus[]) => all.filter(({ State }) => states.includes(State)).length;
  const running = count("running", "restarting");
  const paused = count("paused");
  return { running, paused, stopped: all.length - running - paused };
}

async function usage(engine: Engine, types: ReadonlySet<DiskUsageType>): Promise<DiskUsage> {
  const { images, containers, volumes } = engine;
  const list = types.has("image") ? await images.list({ filter: new Map(), all: false, sharedSize: true }) : undefined;
  return {
    ...(list && { Images: await withUsers(list, containers), LayersSize: await layersSize(engine) }),
    ...(types.has("container") && {
      Containers: await containers.list({ all: true, limit: 0, size: true, filter: new Map() }),
    }),
    ...(types.has("volume") && { Volumes: await volumeUsage(volumes) }),
    ...(types.has("build-cache") && { BuildCache: await engine.builder.usage() }),
  };
}

/** How many containers each image has, which only disk usage tells. */
async function withUsers<T extends { readonly Id: string }>(images: readonly T[], containers: Engine["containers"]) {
  const all = await containers.list({ all: true, limit: 0, size: false, filter: new Map() });
  return images.map((image) => ({ ...image, Containers: all.filter(({ ImageID }) => ImageID === image.Id).length }));
}

async function layersSize({ snapshots }: Engine): Promise<number> {
  let sum = 0;
  for (const { name, state } of snapshots.list()) if (state === "committed") sum += (await snapshots.usage(name)).bytes;
  return sum;
}

/** As with Docker not of those with driver options: what is mounted there is not on the engine's disk. */
async function volumeUsage(volumes: Engine["volumes"]) {
  const all = volumes.list(new Map()).filter((one) => one.Options?.["device"] === undefined);
  const measured = all.map(async (one) => {
    const Size = await volumes.usage(one.Name);
    return [{ ...one, UsageData: { Size, RefCount: volumes.holders(one.Name).length } }];
  });
  return (await Promise.all(measured.map(unlessGone))).flat();
}

/** A volume that is removed while others are measured is no reason to fail. */
async function unlessGone<T>(result: Promise<T[]>): Promise<T[]> {
  try {
    return await result;
  } catch (err) {
    if (isKind(err, "not-found")) return [];
    throw err;
  }
}

function osRelease(): ReadonlyMap<string, string> {
  const lines = readFileSync("/etc/os-release", "utf8").split("\n");
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1).replace(/^"|"$/g, "")]),
  );
}

/** machine-id(5); a host without one is told apart by its name. */
function daemonId(): string {
  try {
    return readFileSync("/etc/machine-id", "utf8").trim() || hostname();
  } catch {
    return hostname();
  }
}

function environment(name: string): string {
  return process.env[name] ?? process.env[name.toLowerCase()] ?? "";
}
