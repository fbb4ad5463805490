import type { ContainerConfig, ContainerCreateBody, ExecCreateBody, HostConfig } from "../../wire/mod.ts";

/** What the decoders give for a body that says nothing. */
export const emptyConfig: ContainerConfig = {
  Hostname: "",
  Domainname: "",
  User: "",
  AttachStdin: false,
  AttachStdout: true,
  AttachStderr: true,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: [],
  Cmd: null,
  Image: "busybox",
  Volumes: null,
  WorkingDir: "",
  Entrypoint: null,
  OnBuild: null,
  Labels: {},
};

export const emptyHostConfig: HostConfig = {
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
  Binds: null,
  ContainerIDFile: "",
  LogConfig: { Type: "", Config: {} },
  NetworkMode: "none",
  PortBindings: {},
  RestartPolicy: { Name: "" },
  AutoRemove: false,
  VolumeDriver: "",
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: "",
  Dns: null,
  DnsOptions: null,
  DnsSearch: null,
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: "",
  Cgroup: "",
  Links: null,
  OomScoreAdj: 0,
  PidMode: "",
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  UTSMode: "",
  UsernsMode: "",
  ShmSize: 0,
  Runtime: "",
  Isolation: "",
};

export function body(config: Partial<ContainerConfig>, host: Partial<HostConfig> = {}): ContainerCreateBody {
  return { config: { ...emptyConfig, ...config }, hostConfig: { ...emptyHostConfig, ...host }, endpoints: {} };
}

/** `sh -c SCRIPT`. */
export function script(text: string, config: Partial<ContainerConfig> = {}): Partial<ContainerConfig> {
  return { Cmd: ["sh", "-c", text], ...config };
}

export function execBody(text: string, over: Partial<ExecCreateBody> = {}): ExecCreateBody {
  return {
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    Env: null,
    Cmd: ["sh", "-c", text],
    Privileged: false,
    User: "",
    WorkingDir: "",
    ...over,
  };
}
