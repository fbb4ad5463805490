import { resolve } from "node:path";
import type { Values } from "../../flags/mod.ts";
import type { DeviceMapping, EndpointConfig, HealthConfig, ThrottleDevice, Ulimit } from "../../wire/mod.ts";
import type { CliIo } from "../io.ts";
import { sizeOf } from "../session/terminal.ts";
import type { ContainerFlags } from "./flags.ts";
import { bindOf, mountOf } from "./mounts.ts";
import { portSpecs } from "./ports.ts";
import { bad, bytesOf, environment, linesOf, nanoCpus, nanosecondsOf, pairs, splitOnce } from "./values.ts";

type Flags = Values<ContainerFlags>;

export interface CreateInput {
  readonly flags: Flags;
  readonly given: ReadonlySet<string>;
  readonly image: string;
  readonly command: readonly string[];
  readonly attach: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
}

/** The body of `POST /containers/create` that docker's own CLI would send for these flags. Throws "invalid" naming flag and value. */
export function createBody(input: CreateInput, io: CliIo): Record<string, unknown> {
  const { flags } = input;
  const networks = [...flags.net, ...flags.network];
  const ports = portSpecs(flags.publish, flags.expose);
  return {
    ...processPart(input, io),
    ExposedPorts: ports.exposed,
    Image: input.image,
    Healthcheck: health(flags),
    HostConfig: {
      ...hostPart(input, io),
      ...resources(flags),
      PortBindings: ports.bindings,
      NetworkMode: networks[0] ?? "default",
    },
    NetworkingConfig: { EndpointsConfig: endpoints(flags, networks) },
  };
}

function processPart({ flags, given, command, attach }: CreateInput, io: CliIo): Record<string, unknown> {
  const volumes = flags.volume.filter((one) => !one.includes(":"));
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
    Env: environment(
      [...flags["env-file"].flatMap((path) => linesOf("env-file", resolve(io.cwd, path))), ...flags.env],
      io.env,
    ),
    Cmd: command.length > 0 ? command : null,
    Entrypoint: given.has("entrypoint") ? [flags.entrypoint] : null,
    Volumes: Object.fromEntries(volumes.map((path) => [path, {}])),
    WorkingDir: flags.workdir,
    Labels: pairs([
      ...flags["label-file"].flatMap((path) => linesOf("label-file", resolve(io.cwd, path))),
      ...flags.label,
    ]),
    ...(flags["stop-signal"] && { StopSignal: flags["stop-signal"] }),
    ...(flags["stop-timeout"] !== undefined && { StopTimeout: flags["stop-timeout"] }),
  };
}

function hostPart({ flags, given }: CreateInput, io: CliIo): Record<string, unknown> {
  const size = flags.tty ? sizeOf(io) : undefined;
  return {
    Binds: flags.volume.filter((one) => one.includes(":")).map((one) => bindOf(one, io.cwd)),
    Mounts: flags.mount.map((one) => mountOf(one, io.cwd)),
    Tmpfs: Object.fromEntries(
      flags.tmpfs.map((one) => splitOnce(one, ":")).map(([path, options]) => [path, options ?? ""]),
    ),
    VolumeDriver: flags["volume-driver"],
    VolumesFrom: flags["volumes-from"],
    AutoRemove: flags.rm,
    RestartPolicy: restartPolicy(flags.restart),
    LogConfig: { Type: flags["log-driver"], Config: pairs(flags["log-opt"]) },
    ConsoleSize: size ? [size.rows, size.columns] : [0, 0],
    Annotations: pairs(flags.annotation),
    CapAdd: flags["cap-add"],
    CapDrop: flags["cap-drop"],
    CgroupnsMode: flags.cgroupns,
    Dns: flags.dns,
    DnsOptions: flags["dns-option"],
    DnsSearch: flags["dns-search"],
    ExtraHosts: flags["add-host"].map((one) => one.replace("=", ":")),
    GroupAdd: flags["group-add"],
    IpcMode: flags.ipc,
    Links: flags.link,
    OomScoreAdj: flags["oom-score-adj"] ?? 0,
    PidMode: flags.pid,
    Privileged: flags.privileged,
    PublishAllPorts: flags["publish-all"],
    ReadonlyRootfs: flags["read-only"],
    SecurityOpt: flags["security-opt"],
    StorageOpt: pairs(flags["storage-opt"]),
    Sysctls: pairs(flags.sysctl),
    UTSMode: flags.uts,
    UsernsMode: flags.userns,
    ShmSize: bytesOf("shm-size", flags["shm-size"]),
    Runtime: flags.runtime,
    ...(given.has("init") && { Init: flags.init }),
  };
}

function resources(flags: Flags): Record<string, unknown> {
  return {
    Memory: bytesOf("memory", flags.memory),
    MemorySwap: bytesOf("memory-swap", flags["memory-swap"]),
    MemoryReservation: bytesOf("memory-reservation", flags["memory-reservation"]),
    MemorySwappiness: flags["memory-swappiness"] ?? null,
    NanoCpus: nanoCpus(flags.cpus),
    CpuShares: flags["cpu-shares"] ?? 0,
    CpuPeriod: flags["cpu-period"] ?? 0,
    CpuQuota: flags["cpu-quota"] ?? 0,
    CpusetCpus: flags["cpuset-cpus"],
    CpusetMems: flags["cpuset-mems"],
    BlkioWeight: flags["blkio-weight"] ?? 0,
    BlkioDeviceReadBps: flags["device-read-bps"].map((one) => throttle(one, bytesOf)),
    BlkioDeviceWriteBps: flags["device-write-bps"].map((one) => throttle(one, bytesOf)),
    BlkioDeviceReadIOps: flags["device-read-iops"].map((one) => throttle(one, (_, rate) => Number(rate))),
    BlkioDeviceWriteIOps: flags["device-write-iops"].map((one) => throttle(one, (_, rate) => Number(rate))),
    CgroupParent: flags["cgroup-parent"],
    Devices: flags.device.map(device),
    DeviceCgroupRules: flags["device-cgroup-rule"],
    OomKillDisable: flags["oom-kill-disable"] || null,
    PidsLimit: flags["pids-limit"] ?? null,
    Ulimits: flags.ulimit.map(ulimit),
  };
}

function endpoints(flags: Flags, networks: readonly string[]): Record<string, EndpointConfig> {
  return Object.fromEntries(
    networks.map((name, at) => {
      const first = at === 0;
      const config: EndpointConfig = {
        ...(first && flags.ip && { IPAMConfig: { IPv4Address: flags.ip } }),
        ...(first && flags["network-alias"].length > 0 && { Aliases: flags["network-alias"] }),
        ...(first && flags["mac-address"] && { MacAddress: flags["mac-address"] }),
      };
      return [name, config];
    }),
  );
}

function health(flags: Flags): HealthConfig | undefined {
  if (flags["no-healthcheck"]) return { Test: ["NONE"] };
  const made: HealthConfig = {
    ...(flags["health-cmd"] && { Test: ["CMD-SHELL", flags["health-cmd"]] }),
    ...(flags["health-interval"] && { Interval: nanosecondsOf("health-interval", flags["health-interval"]) }),
    ...(flags["health-timeout"] && { Timeout: nanosecondsOf("health-timeout", flags["health-timeout"]) }),
    ...(flags["health-start-period"] && {
      StartPeriod: nanosecondsOf("health-start-period", flags["health-start-period"]),
    }),
    ...(flags["health-start-interval"] && {
      StartInterval: nanosecondsOf("health-start-interval", flags["health-start-interval"]),
    }),
    ...(flags["health-retries"] !== undefined && { Retries: flags["health-retries"] }),
  };
  return Object.keys(made).length > 0 ? made : undefined;
}

export function restartPolicy(given: string): { Name: string; MaximumRetryCount: number } {
  const [name, count = "0"] = splitOnce(given, ":");
  if (!/^\d+$/.test(count)) throw bad("restart", given, "maximum retry count must be an integer");
  if (count !== "0" && name !== "on-failure") throw bad("restart", given, "maximum retry count is for on-failure only");
  return { Name: name, MaximumRetryCount: Number(count) };
}

function throttle(given: string, rate: (flag: string, text: string) => number): ThrottleDevice {
  const [path, text] = splitOnce(given, ":");
  const value = text === undefined ? Number.NaN : rate("device-…-rate", text);
  if (!path.startsWith("/dev/") || !Number.isFinite(value))
    throw bad("device-…-rate", given, "/dev/DEVICE:RATE is expected");
  return { Path: path, Rate: value };
}

function device(given: string): DeviceMapping {
  const [path = "", second, third] = given.split(":");
  const onlyPermissions = third === undefined && second !== undefined && /^[rwm]{1,3}$/.test(second);
  return {
    PathOnHost: path,
    PathInContainer: second && !onlyPermissions ? second : path,
    CgroupPermissions: (onlyPermissions ? second : third) || "rwm",
  };
}

function ulimit(given: string): Ulimit {
  const [name, limits] = splitOnce(given, "=");
  const [soft, hard = soft] = splitOnce(limits ?? "", ":");
  if (!/^-?\d+$/.test(soft) || !/^-?\d+$/.test(hard ?? "")) throw bad("ulimit", given, "NAME=SOFT[:HARD] is expected");
  return { Name: name, Soft: Number(soft), Hard: Number(hard) };
}
