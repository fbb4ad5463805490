import type { CgroupControls, CgroupLimit, Cgroups, IdMap, Mount } from "../host/mod.ts";

/**
 * A thin wrapper over conmon and an OCI runtime (crun or runc, chosen by a probe): it knows processes, not container
 * states. A *bundle* is a directory with a spec; a *task* is a process under a conmon, which keeps its stdio, terminal,
 * log and exit code while the daemon is down. Exits are told once each, also those that happened while nobody listened,
 * until `delete` (tasks) forgets them.
 */
export interface Runtime {
  /** The default one. */
  readonly info: RuntimeInfo;
  readonly apparmor: AppArmor;
  /** Those that the host has, the default one first. */
  readonly all: readonly { readonly name: RuntimeName; readonly path: string }[];
  /**
   * Makes sure that containers can be created with it; probed once. Throws "invalid" in Docker's words for one that is
   * not there, "unavailable" with its reason for one that does not work here.
   */
  require(name: RuntimeName): Promise<void>;
  /** Says that `create` or `exec` will be called in a moment, which makes it faster ({@link Cgroups.expectMove}). */
  expect(): void;
  /** Spawns conmon and creates the container; its process waits for `start`. Throws "invalid" with the runtime's message: `kind` of {@link createFailure} tells 126/127. */
  create(bundle: Bundle): Promise<Task>;
  start(id: string): Promise<void>;
  signal(id: string, signal: number, scope: "init" | "all"): Promise<void>;
  freeze(id: string, frozen: boolean): Promise<void>;
  /** Changes limits of a container that runs; when one of them is refused, all are as they were. */
  limit(id: string, change: LimitChange): Promise<void>;
  /** Starts a process in a running container. */
  exec(request: ExecRequest): Promise<Task>;
  /** The task's streams: one connection per task for the daemon's whole life, fan-out is the caller's business. Undefined when it has ended. */
  attach(taskId: string): Promise<TaskStreams | undefined>;
  resize(taskId: string, size: { rows: number; columns: number }): Promise<void>;
  /** Removes what the runtime and conmon keep of the container (state, cgroup, files); kills what still runs. */
  delete(id: string): Promise<void>;
  /** Removes what is kept of an exec that has ended. */
  deleteExec(execId: string): Promise<void>;
  exits(signal: AbortSignal): AsyncIterable<Exit>;
  /** What is there from an earlier daemon: running tasks, and exits that nobody has seen. */
  recover(): Promise<RecoveredTask[]>;
  /**
   * Tells conmon to open a new log file, after the old one was renamed; `needed` is asked when conmon has done whatever it was
   * told before. Throws "not-found" when it does not run, "unavailable" when it does not listen.
   */
  reopenLog(id: string, needed: () => boolean): Promise<void>;
  /** A process without a monitor or a name, for build steps: ends with the daemon. Its output comes by the callback. */
  runOnce(bundle: Bundle, io: RunOnceIo): Promise<number>;
  /** A process in a running container without a monitor or a name, for health checks: what a killed daemon leaves of it is ended by `recover`. An abort kills it with its session, and is answered when it is gone. */
  execOnce(request: ExecOnce, io: RunOnceIo): Promise<number>;
}

/** What the kernel confines processes by. */
export interface AppArmor {
  readonly enabled: boolean;
  /** Of containers that ask for none; undefined where it could not be loaded. */
  readonly profile?: string;
}

export interface LimitChange {
  readonly resources: RuntimeResources;
  /** Taken away altogether, which crun's resources cannot say. */
  readonly lift: readonly CgroupLimit[];
}

export type RuntimeName = "crun" | "runc";

export interface RuntimeInfo {
  readonly name: RuntimeName;
  readonly path: string;
  readonly version: string;
  readonly conmonVersion: string;
  /** Why this one, for `info` and the log. */
  readonly reason: string;
}

export interface Bundle {
  readonly id: string;
  /** An existing directory that belongs to this bundle: config.json and conmon's files go there. */
  readonly directory: string;
  /** Undefined is the default one. */
  readonly runtime?: RuntimeName;
  readonly spec: RuntimeSpec;
  readonly terminal: boolean;
  readonly stdin: "none" | "once" | "open";
  /** k8s-file log that conmon appends to. Without it and without `journal` there is no log. */
  readonly logPath?: string;
  /** Log to the host's journal, under this name and tag. */
  readonly journal?: JournalNames;
  readonly size?: { readonly rows: number; readonly columns: number };
}

export interface JournalNames {
  /** CONTAINER_NAME. */
  readonly name: string;
  /** CONTAINER_TAG and SYSLOG_IDENTIFIER. */
  readonly tag: string;
}

export interface ExecRequest {
  readonly execId: string;
  readonly containerId: string;
  readonly directory: string;
  readonly process: ProcessSpec;
  readonly terminal: boolean;
  readonly stdin: boolean;
  /** Attach before it starts, so that no output is lost. */
  readonly attach: boolean;
  readonly size?: { readonly rows: number; readonly columns: number };
}

export interface ExecOnce {
  readonly containerId: string;
  /** For the runtime's files, of one such exec at a time; made when it is not there. */
  readonly directory: string;
  readonly process: ProcessSpec;
}

export interface Task {
  /** The container's or the exec's id. */
  readonly id: string;
  readonly pid: number;
  readonly monitorPid: number;
  readonly streams?: TaskStreams;
}

export interface RecoveredTask {
  readonly id: string;
  readonly kind: "container" | "exec";
  readonly state: "created" | "running" | "paused" | "exited";
  readonly pid: number;
  readonly exit?: Exit;
}

export interface Exit {
  readonly id: string;
  readonly kind: "container" | "exec";
  /** 128+n when signal n ended it. */
  readonly code: number;
  readonly oomKilled: boolean;
  /** Milliseconds since 1970, from the exit file. */
  readonly at: number;
  /** Which of the id's processes it was; 0 when that is not known. */
  readonly pid: number;
}

export interface TaskStreams extends Disposable {
  /** Always drained by whoever holds it: a client that does not read stalls the container. */
  readonly output: AsyncIterable<{ readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array }>;
  /** Splits into packets that conmon takes whole (32 KiB). */
  write(bytes: Uint8Array): Promise<void>;
  closeStdin(): void;
}

export interface RunOnceIo {
  onOutput(stream: "stdout" | "stderr", bytes: Uint8Array): void;
  readonly signal: AbortSignal;
}

export interface ProcessSpec {
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly additionalGids?: readonly number[];
    readonly umask?: number;
  };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities?: Readonly<
    Record<"bounding" | "effective" | "permitted" | "inheritable" | "ambient", readonly string[]>
  >;
  readonly rlimits?: readonly { readonly type: string; readonly hard: number; readonly soft: number }[];
  readonly noNewPrivileges?: boolean;
  readonly oomScoreAdj?: number;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
}

/** linux.resources of the OCI runtime spec. */
export interface RuntimeResources {
  readonly [key: string]: unknown;
}

/** The OCI runtime spec's config.json; the parts that the engine itself reads are typed. */
export interface RuntimeSpec {
  readonly ociVersion: string;
  readonly process: ProcessSpec;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts: readonly {
    readonly destination: string;
    readonly type?: string;
    readonly source?: string;
    readonly options?: readonly string[];
  }[];
  readonly linux: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What a spec is made from: already resolved and validated, no image and no Docker words left in it. `ociSpec` is pure. */
export interface SpecInput {
  readonly id: string;
  /** Host path of the mounted root file system. */
  readonly rootfs: string;
  readonly readonlyRootfs: boolean;
  readonly process: {
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
    readonly terminal: boolean;
    readonly uid: number;
    readonly gid: number;
    readonly additionalGids: readonly number[];
    readonly size?: { readonly rows: number; readonly columns: number };
  };
  readonly hostname: string;
  readonly domainname: string;
  /** In the order to be mounted; the default ones (/proc, /dev, /sys, /dev/shm …) are added by `ociSpec` unless one has the same destination. */
  readonly mounts: readonly (Mount & { readonly destination: string })[];
  readonly shmSize: number;
  readonly privileged: boolean;
  /** Docker's words, upper case without CAP_, or ALL. */
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly noNewPrivileges: boolean;
  /** /sys/fs/cgroup can be written to, as with --privileged. */
  readonly writableCgroups?: boolean;
  /** "default", "unconfined", or a profile in Docker's format. */
  readonly seccomp: "default" | "unconfined" | object;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
  /** undefined means Docker's default lists. */
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly namespaces: {
    /** "private", "host", or a path of a namespace to join; for ipc also "none": private, and without /dev/shm. */
    readonly pid: string;
    readonly ipc: string;
    readonly uts: string;
    readonly network: string;
    readonly cgroup: string;
    /** "host" or a path; undefined is "host". With a path, `idMap` says who is who in it. */
    readonly user?: string;
  };
  readonly idMap?: IdMap;
  readonly sysctls: Readonly<Record<string, string>>;
  /** The network is another container's, which has set its sysctls already: none are set but those of `sysctls`. */
  readonly joinsNetwork?: boolean;
  readonly cgroupPath: string;
  readonly resources: {
    readonly memory: number;
    readonly memorySwap: number;
    readonly memoryReservation: number;
    readonly memorySwappiness?: number;
    readonly oomKillDisable: boolean;
    readonly nanoCpus: number;
    readonly cpuShares: number;
    readonly cpuPeriod: number;
    readonly cpuQuota: number;
    readonly cpusetCpus: string;
    readonly cpusetMems: string;
    readonly pidsLimit: number;
    readonly blkioWeight: number;
    readonly weightDevices?: readonly { readonly major: number; readonly minor: number; readonly weight: number }[];
    /** Microseconds; 0 is none. */
    readonly cpuRealtimePeriod?: number;
    readonly cpuRealtimeRuntime?: number;
    readonly throttle: readonly {
      readonly kind: "readBps" | "writeBps" | "readIOps" | "writeIOps";
      readonly major: number;
      readonly minor: number;
      readonly rate: number;
    }[];
  };
  readonly devices: readonly {
    readonly hostPath: string;
    readonly containerPath: string;
    readonly permissions: string;
    /** What lies at `hostPath`: `resolveDevices` fills it in, `ociSpec` throws "invalid" without it. */
    readonly node?: DeviceNode;
  }[];
  readonly deviceCgroupRules: readonly string[];
  readonly rlimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly oomScoreAdj: number;
  /** Path of the init binary to run as PID 1, for --init. */
  readonly init?: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** What this host's daemon itself may do: specs are cut down to it (capabilities, hard limits, oom score). */
  readonly limits: HostLimits;
}

export interface DeviceNode {
  readonly type: "c" | "b";
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface HostLimits {
  /** Names such as CAP_CHOWN. */
  readonly capabilities: ReadonlySet<string>;
  /** Hard limit by OCI name, RLIMIT_NOFILE …; Infinity when there is none. */
  readonly rlimits: ReadonlyMap<string, number>;
  readonly oomScoreAdj: number;
  readonly cgroupVersion: "v1" | "hybrid" | "v2";
  readonly apparmor: boolean;
  /** The profile of containers that ask for none. */
  readonly apparmorProfile?: string;
  readonly selinux: boolean;
  readonly runtime: RuntimeName;
  /** uname -r. */
  readonly kernel: string;
  /** Node's word for the CPU: x64, arm64. */
  readonly machine: string;
  /** What cgroups can limit here. */
  readonly controls: CgroupControls;
}
