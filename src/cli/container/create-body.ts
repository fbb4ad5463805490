import { resolve } from "node:path";
import type { Values } from "../../flags/mod.ts";
import type { HealthConfig } from "../../wire/mod.ts";
import type { CliIo } from "../io.ts";
import { sizeOf } from "../session/terminal.ts";
import { parseDevice, parseRestart } from "./devices.ts";
import type { ContainerFlags } from "./flags.ts";
import { checkModes } from "./isolation-values.ts";
import { bindOf, withAbsoluteSource } from "./mounts.ts";
import { endpointsOf } from "./networks.ts";
import { portSpecs } from "./ports.ts";
import { capabilities, securityPart } from "./security.ts";
import { environment, environmentFile, invalid, linesOf, pairs, splitOnce } from "./values.ts";

type Flags = Values<ContainerFlags>;

export interface CreateInput {
  readonly flags: Flags;
  readonly given: ReadonlySet<string>;
  readonly image: string;
  readonly command: readonly string[];
  readonly attach: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
}

/** The body of `POST /containers/create` that docker's own CLI would send for these flags. Throws "invalid" in its words. */
export function createBody(input: CreateInput, io: CliIo): Record<string, unknown> {
  const { flags } = input;
  const ports = portSpecs(flags.publish, flags.expose);
  const { mode, endpoints } = endpointsOf([...flags.net, ...flags.network], {
    ip: flags.ip,
    ip6: flags.ip6,
    linkLocal: flags["link-local-ip"],
    aliases: [...flags["network-alias"], ...flags["net-alias"]],
    mac: flags["mac-address"],
    links: flags.link,
  });
  return {
    ...processPart(input, io),
    ExposedPorts: ports.exposed,
    Image: input.image,
    Healthcheck: health(flags),
    HostConfig: {
      ...hostPart(input, io),
      ...isolation(input, io),
      ...resources(flags),
      PortBindings: ports.bindings,
      NetworkMode: mode,
    },
    NetworkingConfig: { EndpointsConfig: endpoints },
  };
}

function processPart({ flags, given, command, attach }: CreateInput, io: CliIo): Record<string, unknown> {
  const at = (path: string) => resolve(io.cwd, path);
  return {
    Hostname: flags.hostname,
    Domainname: flags.domainname,
    User: flags.user,
    AttachStdin: attach.stdin,
    AttachStdout: attach.stdout,
    AttachStderr: attach.stderr,
    Tty: flags.tty,
    OpenStdin: flags.interactive,
    StdinOnce: flags.interactive && attach.stdin,
    Env: [...flags["env-file"].flatMap((path) => environmentFile(at(path), io.env)), ...environment(flags.env, io.env)],
    Cmd: command.length > 0 ? command : null,
    // An empty one given takes the image's away; the engine wants it as one empty word.
    Entrypoint: given.has("entrypoint") ? [flags.entrypoint] : null,
    Volumes: Object.fromEntries(flags.volume.filter((one) => !one.includes(":")).map((path) => [path, {}])),
    WorkingDir: flags.workdir,
    Labels: pairs([...flags["label-file"].flatMap((path) => linesOf(at(path))), ...flags.label]),
    ...(flags["stop-signal"] && { StopSignal: flags["stop-signal"] }),
    ...(flags["stop-timeout"] !== undefined && { StopTimeout: flags["stop-timeout"] }),
  };
}

function hostPart({ flags, given }: CreateInput, io: CliIo): Record<string, unknown> {
  const size = sizeOf(io);
  const restart = parseRestart(flags.restart);
  if (flags.rm && restart.Name !== "" && restart.Name !== "no")
    throw invalid("conflicting options: cannot specify both --restart and --rm");
  return {
    Binds: flags.volume.map((one) => bindOf(one, io.cwd)).filter((one) => one.includes(":")),
    Mounts: flags.mount.map((one) => withAbsoluteSource(one, io.cwd)),
    Tmpfs: Object.fromEntries(
      flags.tmpfs.map((one) => splitOnce(one, ":")).map(([path, options]) => [path, options ?? ""]),
    ),
    VolumeDriver: flags["volume-driver"],
    VolumesFrom: flags["volumes-from"],
    AutoRemove: flags.rm,
    ContainerIDFile: flags.cidfile,
    RestartPolicy: restart,
    LogConfig: { Type: flags["log-driver"], Config: pairs(flags["log-opt"]) },
    ConsoleSize: size ? [size.rows, size.columns] : [0, 0],
    Annotations: { ...pairs(flags.annotation), ...onFailure(given, flags) },
    Dns: flags.dns,
    DnsOptions: [...flags["dns-option"], ...flags["dns-opt"]],
    DnsSearch: flags["dns-search"],
    ExtraHosts: flags["add-host"],
    Links: flags.link,
    PublishAllPorts: flags["publish-all"],
    StorageOpt: storageOptions(flags["storage-opt"]),
    ShmSize: flags["shm-size"],
    Runtime: flags.runtime || undefined,
  };
}

function isolation({ flags, given }: CreateInput, io: CliIo): Record<string, unknown> {
  checkModes(flags);
  return {
    ...securityPart(flags["security-opt"], io.cwd),
    CapAdd: capabilities(flags["cap-add"]),
    CapDrop: capabilities(flags["cap-drop"]),
    CgroupnsMode: flags.cgroupns,
    GroupAdd: flags["group-add"],
    IpcMode: flags.ipc,
    Isolation: flags.isolation,
    OomScoreAdj: flags["oom-score-adj"] ?? 0,
    PidMode: flags.pid,
    Privileged: flags.privileged,
    ReadonlyRootfs: flags["read-only"],
    Sysctls: pairs(flags.sysctl),
    UTSMode: flags.uts,
    UsernsMode: flags.userns,
    ...(given.has("init") && { Init: flags.init }),
  };
}

function storageOptions(given: readonly string[]): Record<string, string> {
  if (given.some((one) => !one.includes("="))) throw invalid("invalid storage option");
  return pairs(given);
}

function swappiness(given: number | undefined): number | null {
  const value = given ?? -1;
  if (value < -1 || value > 100) throw invalid(`invalid value: ${value}. Valid memory swappiness range is 0-100`);
  return given ?? null;
}

function resources(flags: Flags): Record<string, unknown> {
  return {
    Memory: flags.memory,
    MemorySwap: flags["memory-swap"],
    MemoryReservation: flags["memory-reservation"],
    MemorySwappiness: swappiness(flags["memory-swappiness"]),
    NanoCpus: flags.cpus,
    CpuShares: flags["cpu-shares"] ?? 0,
    CpuPeriod: flags["cpu-period"] ?? 0,
    CpuQuota: flags["cpu-quota"] ?? 0,
    CpuRealtimePeriod: flags["cpu-rt-period"] ?? 0,
    CpuRealtimeRuntime: flags["cpu-rt-runtime"] ?? 0,
    CpusetCpus: flags["cpuset-cpus"],
    CpusetMems: flags["cpuset-mems"],
    BlkioWeight: flags["blkio-weight"],
    BlkioWeightDevice: flags["blkio-weight-device"],
    BlkioDeviceReadBps: flags["device-read-bps"],
    BlkioDeviceWriteBps: flags["device-write-bps"],
    BlkioDeviceReadIOps: flags["device-read-iops"],
    BlkioDeviceWriteIOps: flags["device-write-iops"],
    CgroupParent: flags["cgroup-parent"],
    Devices: flags.device.map(parseDevice),
    DeviceRequests: flags.gpus.length > 0 ? flags.gpus : null,
    DeviceCgroupRules: flags["device-cgroup-rule"],
    OomKillDisable: flags["oom-kill-disable"] || null,
    PidsLimit: flags["pids-limit"] ?? null,
    Ulimits: flags.ulimit,
  };
}

/** Docker's API has no field for it: Berth's daemon knows the annotation. */
function onFailure(given: ReadonlySet<string>, flags: Flags): Record<string, string> {
  return given.has("health-on-failure") ? { "dev.berth.health-on-failure": flags["health-on-failure"] } : {};
}

function health(flags: Flags): HealthConfig | undefined {
  const made: HealthConfig = {
    ...(flags["health-cmd"] && { Test: ["CMD-SHELL", flags["health-cmd"]] }),
    ...(flags["health-interval"] && { Interval: flags["health-interval"] }),
    ...(flags["health-timeout"] && { Timeout: flags["health-timeout"] }),
    ...(flags["health-start-period"] && { StartPeriod: flags["health-start-period"] }),
    ...(flags["health-start-interval"] && { StartInterval: flags["health-start-interval"] }),
    ...(flags["health-retries"] && { Retries: flags["health-retries"] }),
  };
  const asked = Object.keys(made).length > 0;
  if (flags["no-healthcheck"]) {
    if (asked) throw invalid("--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  return asked ? made : undefined;
}
