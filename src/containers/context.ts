import type { KeyedLock } from "../async/mod.ts";
import type { Db } from "../db/mod.ts";
import type { Events } from "../events/mod.ts";
import type { Collector, Leases } from "../gc/mod.ts";
import type { Host } from "../host/mod.ts";
import type { Images } from "../images/mod.ts";
import type { Layers } from "../layers/mod.ts";
import type { Log } from "../log/mod.ts";
import type { Networks } from "../network/mod.ts";
import type { HostLimits, Runtime } from "../runtime/mod.ts";
import type { Snapshotter } from "../snapshots/mod.ts";
import type { UserNamespaces } from "../userns/mod.ts";
import type { Volumes } from "../volumes/mod.ts";
import type { Ulimit } from "../wire/mod.ts";
import type { ExecTable } from "./exec/table.ts";
import type { Healths } from "./health/healths.ts";
import type { Hubs } from "./hub.ts";
import type { ContainerLogs } from "./logs/container-logs.ts";
import type { JournalAccess } from "./logs/journal-access.ts";
import type { LogConfig } from "./logs/options.ts";
import type { Retries } from "./retry.ts";
import type { SecurityDefaults } from "./security.ts";
import type { Sampler } from "./stats/sampler.ts";
import type { ContainerTable } from "./table.ts";
import type { Waiters } from "./wait/waiters.ts";

/** What `containers` stands on. */
export interface Parts {
  readonly db: Db;
  readonly host: Host;
  readonly events: Events;
  readonly log: Log;
  /** Its leases keep what `commit` makes until its image is registered; containers' layers are roots. */
  readonly collector: Pick<Collector, "register"> & Leases;
  readonly snapshots: Snapshotter;
  readonly layers: Layers;
  readonly volumes: Volumes;
  readonly networks: Networks;
  readonly runtime: Runtime;
  readonly images: Images;
  readonly userns: UserNamespaces;
  readonly config: ContainersConfig;
}

export interface ContainersConfig {
  /** Holds a directory per container that lasts as long as it does: its log and its files in /etc. */
  readonly directory: string;
  /** Holds what lasts as long as a process: bundles, mounted root file systems. */
  readonly execRoot: string;
  /** Such as "/berth-TAG": containers' cgroups are below it. */
  readonly cgroupParent: string;
  /** Bytes. */
  readonly defaultShmSize: number;
  /** For containers that say nothing. */
  readonly defaults?: ContainerDefaults;
  /** What this daemon itself may do; specs are cut down to it. */
  readonly limits: HostLimits;
  /** How long a retry waits at first, in milliseconds; doubled each time up to a minute. Default 100. */
  readonly firstRetryDelay?: number;
  /** The log driver and options of containers that name none. Default json-file without options. */
  readonly logDefaults?: LogConfig;
  /** Default: where systemd has it. */
  readonly journal?: JournalAccess;
  /** Where the host's own resolver configuration is. Default /etc/resolv.conf. */
  readonly resolvConf?: string;
}

/** Each as dockerd's flag of that name has it. */
export interface ContainerDefaults extends SecurityDefaults {
  readonly ulimits?: readonly Ulimit[];
  readonly init?: boolean;
  readonly ipcMode?: "private" | "shareable";
  readonly cgroupnsMode?: "host" | "private";
  readonly dns?: readonly string[];
  readonly dnsOptions?: readonly string[];
  readonly dnsSearch?: readonly string[];
  /** What `host-gateway` means in `--add-host`; the gateway of the container's network unless it is set. */
  readonly hostGateways?: readonly string[];
}

/** The module's insides, passed to each operation. Order of locks: container, then whatever a part below takes. */
export interface Context extends Parts {
  readonly table: ContainerTable;
  readonly locks: KeyedLock;
  readonly hubs: Hubs;
  readonly waiters: Waiters;
  readonly retries: Retries;
  readonly execs: ExecTable;
  readonly sampler: Sampler;
  readonly logs: ContainerLogs;
  readonly health: Healths;
  /** Aborts when the daemon goes. */
  readonly closing: AbortSignal;
}
