import type { Flight, KeyedLock, Semaphore } from "../async/mod.ts";
import type { ContentStore } from "../content/mod.ts";
import type { Db } from "../db/mod.ts";
import type { Events } from "../events/mod.ts";
import type { Collector, Leases } from "../gc/mod.ts";
import type { Host } from "../host/mod.ts";
import type { Images, ImageTransfer } from "../images/mod.ts";
import type { Layers } from "../layers/mod.ts";
import type { Log } from "../log/mod.ts";
import type { Networks } from "../network/mod.ts";
import type { Digest, Platform } from "../oci/mod.ts";
import type { RegistryClient } from "../registry-client/mod.ts";
import type { HostLimits, Runtime } from "../runtime/mod.ts";
import type { Snapshotter } from "../snapshots/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type { UserNamespaces } from "../userns/mod.ts";
import type { Material } from "./attest/provenance.ts";
import type { BuildOptions } from "./builder.ts";
import type { BuildCache } from "./cache.ts";
import type { ContextFiles } from "./context-files.ts";
import type { StepMemory } from "./explain/memory.ts";
import type { Vertex } from "./graph/vertex.ts";
import type { SelectOutput } from "./jobs/select.ts";
import type { PackedLayers } from "./packed-layers.ts";
import type { StepOutput } from "./progress.ts";
import type { Recent } from "./recent.ts";
import type { RootViews } from "./views.ts";

export interface BuilderOptions {
  readonly db: Db;
  readonly host: Host;
  readonly log: Log;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly layers: Layers;
  readonly images: Images;
  readonly transfer: ImageTransfer;
  readonly registry: RegistryClient;
  readonly runtime: Runtime;
  readonly networks: Networks;
  readonly userns: UserNamespaces;
  readonly events: Events;
  readonly leases: Leases;
  readonly collector: Collector;
  readonly config: BuilderConfig;
}

export interface BuilderConfig {
  /** Belongs to the builder alone: what a crash left there is removed when it opens. */
  readonly directory: string;
  /** Where RUN steps in user namespaces have their roots, which must be able to search all directories above. */
  readonly execRoot: string;
  /** What RUN steps may be given. */
  readonly limits: HostLimits;
  /** Parent of the steps' cgroups, such as "/berth". */
  readonly cgroupParent: string;
  /** What this host runs. */
  readonly platform: Platform;
  /** DNS servers for RUN; none: the host's. */
  readonly dns: readonly string[];
  /** Bytes that the cache may take; 0 for no limit. */
  readonly cacheSize: number;
  /** What `host-gateway` means in `--add-host`; the gateway of the step's network unless it is set. */
  readonly hostGateway?: string;
  /** Downloads for ADD and for remote contexts: HTTP is not the builder's to speak. */
  readonly fetchUrl: FetchUrl;
}

export type FetchUrl = (url: string, signal: AbortSignal) => Promise<Fetched>;

export interface Fetched {
  readonly status: number;
  /** Such as "Not Found". */
  readonly statusText: string;
  readonly headers: { get(name: string): string | null };
  readonly bytes: Bytes;
}

/** What all builds share. */
export interface BuilderContext extends BuilderOptions {
  readonly cache: BuildCache;
  readonly packedLayers: PackedLayers;
  readonly memory: StepMemory;
  /** Runs of vertices that may serve several builds. */
  readonly flight: Flight<Solved>;
  /** How many processes run at once. */
  readonly slots: Semaphore;
  /** What COPY found in snapshots and contexts. */
  readonly selections: Recent<SelectOutput>;
  /** For each running build the results that it stands on. */
  readonly inUse: Set<ReadonlySet<string>>;
  /** By the id of a cache mount. */
  readonly mountLocks: KeyedLock;
}

/** One build on its way. */
export interface Build {
  readonly context: BuilderContext;
  readonly files: ContextFiles;
  readonly options: BuildOptions;
  readonly output: StepOutput;
  readonly views: RootViews;
  /** What steps fetched from elsewhere; grows. */
  readonly materials: Material[];
  /** This build's directory for what it needs on the way; deleted with it. */
  readonly directory: string;
  /** SOURCE_DATE_EPOCH: seconds since 1970 that no time of the image exceeds. */
  readonly epoch?: number;
  readonly signal: AbortSignal;
}

/** What a vertex left behind. */
export interface Solved {
  /** Committed, or one of `packedLayers`; undefined for an empty root. */
  readonly snapshot?: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly cached: boolean;
  /** Stands for how it came about on any daemon, where keys name this one's snapshots. */
  readonly portable?: Digest;
}

/** A vertex with everything looked up that its key needs. */
export interface Plan {
  /** undefined: neither looked up nor recorded. */
  readonly key?: unknown;
  readonly kind: "exec" | "copy" | "workdir";
  readonly description: string;
  /** What it copies, for whoever asks why it ran again; see `packListing`. */
  readonly listing?: Uint8Array;
  /** False when it reads the files of this very build, so that no other build may wait for it. */
  readonly shared: boolean;
  /** Returns the snapshot. `base` is what it stands on, which decides nothing of the plan. */
  run(base: Solved | undefined, signal: AbortSignal): Promise<string | undefined>;
}

export interface Planned {
  readonly build: Build;
  readonly vertex: Vertex;
  readonly inputs: ReadonlyMap<Vertex, Solved>;
  /** No other step of this build stands on it or reads from it. */
  readonly isLast: boolean;
}

export interface Running extends Planned {
  readonly base: Solved | undefined;
}
