import { apiVersion, minApiVersion } from "./version.ts";

/** What `GET /version` cannot know by itself. */
export interface VersionFacts {
  readonly version: string;
  readonly gitCommit: string;
  /** RFC 3339; empty for a build from the working tree. */
  readonly buildTime: string;
  readonly kernelVersion: string;
  /** As Go has it: amd64, arm64. */
  readonly arch: string;
  /** The programs below the engine, such as crun and conmon. */
  readonly components: readonly { readonly name: string; readonly version: string }[];
}

/** What `GET /info` cannot know by itself. Sizes in bytes. */
export interface SystemFacts {
  readonly id: string;
  /** The host's name. */
  readonly name: string;
  readonly version: string;
  readonly containers: { readonly running: number; readonly paused: number; readonly stopped: number };
  readonly images: number;
  readonly dataRoot: string;
  readonly driverStatus: readonly (readonly [string, string])[];
  readonly kernelVersion: string;
  /** As in os-release: PRETTY_NAME and VERSION_ID. */
  readonly operatingSystem: string;
  readonly osVersion: string;
  /** As `uname -m` has it: x86_64. */
  readonly machine: string;
  readonly cpus: number;
  readonly memory: number;
  readonly cgroupDriver: "cgroupfs" | "systemd";
  readonly cgroupVersion: "1" | "2";
  readonly limits: {
    readonly memory: boolean;
    readonly swap: boolean;
    readonly cpuQuota: boolean;
    readonly cpuShares: boolean;
    readonly cpuset: boolean;
    readonly pids: boolean;
    readonly oomKillDisable: boolean;
  };
  readonly ipForwarding: boolean;
  readonly debug: boolean;
  readonly openFiles: number;
  readonly eventListeners: number;
  readonly runtimes: Readonly<Record<string, { readonly path: string }>>;
  readonly defaultRuntime: string;
  /** Of containers that name none, and all that they may name. */
  readonly loggingDriver: string;
  readonly logDrivers: readonly string[];
  readonly securityOptions: readonly string[];
  readonly registryMirrors: readonly string[];
  readonly insecureRegistries: readonly string[];
  readonly addressPools: readonly { readonly base: string; readonly size: number }[];
  readonly proxies: { readonly http: string; readonly https: string; readonly no: string };
  readonly labels: readonly string[];
  readonly warnings: readonly string[];
}

export function systemVersion(facts: VersionFacts): unknown {
  const own = {
    GitCommit: facts.gitCommit,
    Os: "linux",
    Arch: facts.arch,
    KernelVersion: facts.kernelVersion,
    BuildTime: facts.buildTime,
  };
  const details = { ApiVersion: apiVersion, MinAPIVersion: minApiVersion, ...own, Experimental: "false" };
  const others = facts.components.map(({ name, version }) => ({ Name: name, Version: version, Details: {} }));
  return {
    Platform: { Name: "Berth" },
    Components: [{ Name: "Engine", Version: facts.version, Details: details }, ...others],
    Version: facts.version,
    ApiVersion: apiVersion,
    MinAPIVersion: minApiVersion,
    ...own,
    // The engine has no Go in it; clients that require the field get what it is made of.
    GoVersion: `bun${process.versions["bun"] ?? ""}`,
  };
}

export function systemInfo(facts: SystemFacts): unknown {
  return { ...identity(facts), ...abilities(facts), ...host(facts), ...fixed(facts) };
}

function identity({ containers, ...facts }: SystemFacts) {
  return {
    ID: facts.id,
    Containers: containers.running + containers.paused + containers.stopped,
    ContainersRunning: containers.running,
    ContainersPaused: containers.paused,
    ContainersStopped: containers.stopped,
    Images: facts.images,
    Driver: "overlay2",
    DriverStatus: facts.driverStatus,
    DockerRootDir: facts.dataRoot,
    Name: facts.name,
    Labels: facts.labels,
    ServerVersion: facts.version,
  };
}

function abilities({ limits, ...facts }: SystemFacts) {
  return {
    MemoryLimit: limits.memory,
    SwapLimit: limits.swap,
    KernelMemoryTCP: false,
    CpuCfsPeriod: limits.cpuQuota,
    CpuCfsQuota: limits.cpuQuota,
    CPUShares: limits.cpuShares,
    CPUSet: limits.cpuset,
    PidsLimit: limits.pids,
    OomKillDisable: limits.oomKillDisable,
    IPv4Forwarding: facts.ipForwarding,
    CgroupDriver: facts.cgroupDriver,
    CgroupVersion: facts.cgroupVersion,
    Runtimes: facts.runtimes,
    DefaultRuntime: facts.defaultRuntime,
    SecurityOptions: facts.securityOptions,
    DefaultAddressPools: facts.addressPools.map(({ base, size }) => ({ Base: base, Size: size })),
    RegistryConfig: registryConfig(facts),
  };
}

function registryConfig(facts: Pick<SystemFacts, "registryMirrors" | "insecureRegistries">) {
  const index = (name: string, secure: boolean) => ({ Name: name, Mirrors: [], Secure: secure, Official: false });
  const insecure = facts.insecureRegistries.filter((name) => !name.includes("/"));
  const ranges = facts.insecureRegistries.filter((name) => name.includes("/"));
  return {
    InsecureRegistryCIDRs: [...new Set(["::1/128", "127.0.0.0/8", ...ranges])],
    IndexConfigs: {
      "docker.io": { Name: "docker.io", Mirrors: facts.registryMirrors, Secure: true, Official: true },
      ...Object.fromEntries(insecure.map((name) => [name, index(name, false)])),
    },
    Mirrors: facts.registryMirrors,
  };
}

function host(facts: SystemFacts) {
  return {
    Debug: facts.debug,
    NFd: facts.openFiles,
    NGoroutines: 0,
    NEventsListener: facts.eventListeners,
    SystemTime: new Date().toISOString(),
    KernelVersion: facts.kernelVersion,
    OperatingSystem: facts.operatingSystem,
    OSVersion: facts.osVersion,
    OSType: "linux",
    Architecture: facts.machine,
    NCPU: facts.cpus,
    MemTotal: facts.memory,
    HttpProxy: facts.proxies.http,
    HttpsProxy: facts.proxies.https,
    NoProxy: facts.proxies.no,
    Warnings: facts.warnings,
  };
}

/** What is the same on every Berth: one driver of each kind, no swarm, containers that outlive the daemon. */
function fixed({ defaultRuntime, loggingDriver, logDrivers }: SystemFacts) {
  const commit = { ID: "" };
  return {
    Plugins: { Volume: ["local"], Network: ["bridge", "host", "null"], Authorization: null, Log: logDrivers },
    LoggingDriver: loggingDriver,
    IndexServerAddress: "https://index.docker.io/v1/",
    GenericResources: null,
    ExperimentalBuild: false,
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "",
    ContainerdCommit: commit,
    RuncCommit: { ID: defaultRuntime },
    InitCommit: commit,
    ProductLicense: "",
    FirewallBackend: { Driver: "nftables" },
    DiscoveredDevices: [],
    CDISpecDirs: [],
  };
}
