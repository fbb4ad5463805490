import { EngineError } from "../errors/mod.ts";
import type { HostConfig, PortBinding, PortMap, Resources, RestartPolicy } from "./container.ts";
import {
  anything,
  boolean,
  type Decode,
  Fields,
  integer,
  list,
  nullable,
  partial,
  record,
  string,
  stringOrInteger,
} from "./decode.ts";
import { decodeMount } from "./decode-mount.ts";

const throttle = list((json, path) => {
  const fields = new Fields(json, path);
  return { Path: fields.get("Path", string, ""), Rate: fields.get("Rate", integer, 0) };
});
const weights = list((json, path) => {
  const fields = new Fields(json, path);
  return { Path: fields.get("Path", string, ""), Weight: fields.get("Weight", integer, 0) };
});
const devices = list((json, path) => {
  const fields = new Fields(json, path);
  return {
    PathOnHost: fields.get("PathOnHost", string, ""),
    PathInContainer: fields.get("PathInContainer", string, ""),
    CgroupPermissions: fields.get("CgroupPermissions", string, ""),
  };
});
const ulimits = list((json, path) => {
  const fields = new Fields(json, path);
  return {
    Name: fields.get("Name", string, ""),
    Soft: fields.get("Soft", integer, 0),
    Hard: fields.get("Hard", integer, 0),
  };
});

export const decodeUlimits: Decode<NonNullable<Resources["Ulimits"]>> = ulimits;

/** What limits a container may have; `create` fills in the rest, `update` takes only what was sent. */
export const resourceTable: { readonly [K in keyof Required<Resources>]: Decode<Required<Resources>[K]> } = {
  CpuShares: integer,
  Memory: integer,
  NanoCpus: integer,
  CgroupParent: string,
  BlkioWeight: integer,
  BlkioWeightDevice: weights,
  BlkioDeviceReadBps: throttle,
  BlkioDeviceWriteBps: throttle,
  BlkioDeviceReadIOps: throttle,
  BlkioDeviceWriteIOps: throttle,
  CpuPeriod: integer,
  CpuQuota: integer,
  CpuRealtimePeriod: integer,
  CpuRealtimeRuntime: integer,
  CpusetCpus: string,
  CpusetMems: string,
  Devices: devices,
  DeviceCgroupRules: list(string),
  DeviceRequests: list(anything),
  KernelMemoryTCP: integer,
  MemoryReservation: integer,
  MemorySwap: integer,
  MemorySwappiness: integer,
  OomKillDisable: boolean,
  PidsLimit: integer,
  Ulimits: ulimits,
};

/** What stands in `inspect` where nothing was asked for. */
export const noLimits: Resources = {
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: "",
  BlkioWeight: 0,
  BlkioWeightDevice: null,
  BlkioDeviceReadBps: null,
  BlkioDeviceWriteBps: null,
  BlkioDeviceReadIOps: null,
  BlkioDeviceWriteIOps: null,
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: "",
  CpusetMems: "",
  Devices: null,
  DeviceCgroupRules: null,
  DeviceRequests: null,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: null,
  PidsLimit: null,
  Ulimits: null,
};

export const restartPolicy: Decode<RestartPolicy> = (json, path) => {
  const fields = new Fields(json, path);
  return { Name: fields.get("Name", string, ""), MaximumRetryCount: fields.get("MaximumRetryCount", integer, 0) };
};

/** Height, then width. */
export const consoleSize: Decode<readonly [number, number]> = (json, path = "") => {
  const [height, width, ...more] = list(integer)(json, path);
  if (height === undefined || width === undefined || more.length > 0 || height < 0 || width < 0)
    throw new EngineError("invalid", `invalid JSON: ${path} must be an array of height and width`);
  return [height, width];
};

const binding: Decode<PortBinding> = (json, path) => {
  const fields = new Fields(json ?? {}, path);
  return { HostIp: fields.get("HostIp", string, ""), HostPort: fields.get("HostPort", stringOrInteger, "") };
};

export const portMap: Decode<PortMap> = record(nullable(list(binding)));

/** Always complete: what was not sent has its zero value, as in dockerd's inspect. */
export const decodeHostConfig: Decode<HostConfig> = (json, path) => {
  const fields = new Fields(json, path);
  return { ...noLimits, ...partial<Required<Resources>>(fields, resourceTable), ...places(fields), ...rights(fields) };
};

type Places =
  | "Binds"
  | "ContainerIDFile"
  | "LogConfig"
  | "NetworkMode"
  | "PortBindings"
  | "RestartPolicy"
  | "AutoRemove";
type MorePlaces = "VolumeDriver" | "VolumesFrom" | "Mounts" | "ConsoleSize" | "Annotations" | "Links" | "StorageOpt";
type EvenMorePlaces = "Tmpfs" | "ShmSize" | "PublishAllPorts" | "Dns" | "DnsOptions" | "DnsSearch" | "ExtraHosts";

function places(fields: Fields): Pick<HostConfig, Places | MorePlaces | EvenMorePlaces> {
  const strings = (name: string) => fields.get(name, list(string), null);
  return {
    Binds: strings("Binds"),
    ContainerIDFile: fields.get("ContainerIDFile", string, ""),
    LogConfig: fields.get("LogConfig", logConfig, undefined) ?? { Type: "", Config: {} },
    NetworkMode: fields.get("NetworkMode", string, ""),
    PortBindings: fields.get("PortBindings", portMap, {}),
    RestartPolicy: fields.get("RestartPolicy", restartPolicy, { Name: "", MaximumRetryCount: 0 }),
    AutoRemove: fields.get("AutoRemove", boolean, false),
    VolumeDriver: fields.get("VolumeDriver", string, ""),
    VolumesFrom: strings("VolumesFrom"),
    ...fields.maybe("Mounts", list(decodeMount)),
    ConsoleSize: fields.get("ConsoleSize", consoleSize, [0, 0] as const),
    ...fields.maybe("Annotations", record(string)),
    Dns: strings("Dns"),
    DnsOptions: strings("DnsOptions"),
    DnsSearch: strings("DnsSearch"),
    ExtraHosts: strings("ExtraHosts"),
    Links: strings("Links"),
    PublishAllPorts: fields.get("PublishAllPorts", boolean, false),
    ...fields.maybe("StorageOpt", record(string)),
    ...fields.maybe("Tmpfs", record(string)),
    ShmSize: fields.get("ShmSize", integer, 0),
  };
}

const logConfig: Decode<HostConfig["LogConfig"]> = (json, path) => {
  const fields = new Fields(json, path);
  return { Type: fields.get("Type", string, ""), Config: fields.get("Config", record(string), {}) };
};

function rights(fields: Fields): Omit<HostConfig, keyof Resources | Places | MorePlaces | EvenMorePlaces> {
  const strings = (name: string) => fields.get(name, list(string), null);
  const text = (name: string) => fields.get(name, string, "");
  const flag = (name: string) => fields.get(name, boolean, false);
  return {
    CapAdd: strings("CapAdd"),
    CapDrop: strings("CapDrop"),
    CgroupnsMode: text("CgroupnsMode"),
    GroupAdd: fields.get("GroupAdd", list(stringOrInteger), null),
    IpcMode: text("IpcMode"),
    Cgroup: text("Cgroup"),
    OomScoreAdj: fields.get("OomScoreAdj", integer, 0),
    PidMode: text("PidMode"),
    Privileged: flag("Privileged"),
    ReadonlyRootfs: flag("ReadonlyRootfs"),
    SecurityOpt: strings("SecurityOpt"),
    UTSMode: text("UTSMode"),
    UsernsMode: text("UsernsMode"),
    ...fields.maybe("Sysctls", record(string)),
    Runtime: text("Runtime"),
    Isolation: text("Isolation"),
    ...fields.maybe("MaskedPaths", list(string)),
    ...fields.maybe("ReadonlyPaths", list(string)),
    ...fields.maybe("Init", boolean),
  };
}
