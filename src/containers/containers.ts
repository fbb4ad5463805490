import type { HijackedSocket } from "../http/mod.ts";
import type { PathStat } from "../layers/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type {
  ContainerConfig,
  ContainerCreateAnswer,
  ContainerCreateBody,
  ContainerInspect,
  ContainerStats,
  ContainerSummary,
  ExecCreateBody,
  ExecInspect,
  ExecStartBody,
  FilesystemChange,
  Filters,
  NetworkConnectBody,
  NetworkDisconnectBody,
  PortMap,
  PublishAnswer,
  TopAnswer,
  UpdateBody,
  VolumeInspect,
  WaitAnswer,
} from "../wire/mod.ts";
import type { HostPort } from "./ports.ts";
import type { VolumeExport, VolumeImport } from "./volumes/files.ts";

/**
 * The lifecycle of a container: `created → running ⇄ paused → exited → (running | removing) → gone`, plus `dead`.
 * `transition` (transition.ts) is the only place that says which step is legal. Every step runs under the id's lock; `list`
 * and `inspect` read rows and take no lock. A `ref` is an id, a name, or an unambiguous id prefix; every method throws
 * "not-found" `No such container: REF` for one that matches nothing.
 */
export interface Containers extends Lifecycle, Execs, Files, VolumeFiles, Monitor, Memberships, Ports {}

export interface Lifecycle {
  create(request: CreateContainer): Promise<ContainerCreateAnswer>;
  /** Throws "not-modified" when it runs already. */
  start(ref: string): Promise<void>;
  /** `timeout` in seconds, -1 waits for ever, undefined is the container's own (10). Throws "not-modified" when it does not run. */
  stop(ref: string, options: StopOptions): Promise<void>;
  restart(ref: string, options: StopOptions): Promise<void>;
  /** `signal` as a user writes it: "KILL", "SIGTERM", "9". */
  kill(ref: string, signal: string): Promise<void>;
  pause(ref: string): Promise<void>;
  unpause(ref: string): Promise<void>;
  rename(ref: string, name: string): Promise<void>;
  update(ref: string, body: UpdateBody): Promise<{ Warnings: readonly string[] }>;
  remove(
    ref: string,
    options: { readonly force: boolean; readonly volumes: boolean; readonly link: boolean },
  ): Promise<void>;
  /** Blocks until the condition holds. */
  wait(ref: string, until: WaitCondition, signal: AbortSignal): Promise<WaitAnswer>;
  prune(filter: Filters): Promise<{ ContainersDeleted: readonly string[]; SpaceReclaimed: number }>;
}

export interface CreateContainer {
  readonly body: ContainerCreateBody;
  /** Without the slash; undefined makes one up. */
  readonly name?: string;
  readonly platform?: string;
}

export interface StopOptions {
  readonly signal?: string;
  readonly timeout?: number;
}

/** Docker's three, and Berth's own: something listens on a TCP port of the container. */
export type WaitCondition = "not-running" | "next-exit" | "removed" | { readonly port: number };

export interface Memberships {
  /** At once where the container runs, with its next start otherwise. Throws "forbidden" when it cannot be a member, or is one. */
  connect(network: string, body: NetworkConnectBody): Promise<void>;
  /** Throws "forbidden" when it is no member. */
  disconnect(network: string, body: NetworkDisconnectBody): Promise<void>;
}

/** Ports while it runs, which no other engine changes. See ports.ts for what they throw. */
export interface Ports {
  publishPorts(ref: string, ports: PortMap): Promise<PublishAnswer>;
  unpublishPort(ref: string, wanted: HostPort): Promise<void>;
}

export interface Execs {
  createExec(ref: string, body: ExecCreateBody): Promise<{ Id: string }>;
  /** Starts it; when not detached, `connect` is called just before the process starts, and the stream is the exec's until the process ends or the client leaves. */
  startExec(execId: string, body: ExecStartBody, connect?: StreamConnect): Promise<void>;
  inspectExec(execId: string): ExecInspect;
  resizeExec(execId: string, size: { readonly rows: number; readonly columns: number }): Promise<void>;
}

/** Called with whether the stream is a terminal's (raw) or framed; gives the connection to serve. */
export type StreamConnect = (kind: "raw" | "multiplexed") => Promise<HijackedSocket>;

/** Volumes, where that concerns containers or archives. */
export interface VolumeFiles {
  /** Gives a volume another name, also in the containers that have it. Throws what `Volumes.rename` throws; "conflict" while one of them runs. */
  renameVolume(from: string, to: string): Promise<void>;
  /** A volume's files as a tar archive, the volume itself first, as `./`; it is held until the end. Throws "not-found". */
  exportVolume(name: string, options: VolumeExport): Bytes;
  /** Fills a volume from a tar archive, plain or compressed with gzip or zstd. Throws what `Volumes.import` throws, "invalid" for a broken archive. */
  importVolume(name: string, options: VolumeImport): Promise<VolumeInspect>;
}

export interface Files {
  changes(ref: string): Promise<FilesystemChange[]>;
  commit(ref: string, options: CommitOptions): Promise<{ Id: string }>;
  export(ref: string, signal: AbortSignal): Bytes;
  /** What is at a path of the container; the methods below throw what this throws: "not-found" `Could not find the file PATH in container REF`, "invalid" for something on the way that is no directory, "conflict" for a container that is being removed. */
  statPath(ref: string, path: string, signal: AbortSignal): Promise<PathStat>;
  /** A file or directory as a tar archive. The bytes must be read or left; until then a container that does not run cannot be started. */
  readPath(ref: string, path: string, signal: AbortSignal): Promise<{ readonly stat: PathStat; readonly bytes: Bytes }>;
  /** Unpacks a plain tar archive into a directory. Throws "forbidden" for what is read-only. What was complete before a failure stays. */
  writePath(ref: string, path: string, options: WritePath): Promise<void>;
}

export interface WritePath {
  readonly bytes: Bytes;
  readonly noOverwriteDirNonDir: boolean;
  /** Everything becomes the property of the user that the container runs as. */
  readonly copyUidGid: boolean;
  readonly signal: AbortSignal;
}

export interface CommitOptions {
  readonly repo?: string;
  readonly tag?: string;
  readonly comment?: string;
  readonly author?: string;
  readonly pause: boolean;
  readonly changes: readonly string[];
  /** What the image's configuration is to have instead of, or beside, the container's; `changes` come after it. */
  readonly config?: ContainerConfig;
}

export interface Monitor {
  /** Filters as Docker has them: id, name, label, exited, status, ancestor, before, since, volume, network, publish, expose, health, is-task. */
  list(options: {
    readonly all: boolean;
    readonly limit: number;
    readonly size: boolean;
    readonly filter: Filters;
  }): Promise<ContainerSummary[]>;
  inspect(ref: string, size: boolean): Promise<ContainerInspect>;
  /** Docker's frames (or raw bytes for a terminal). */
  logs(ref: string, options: LogOptions): Promise<{ readonly kind: "raw" | "multiplexed"; readonly bytes: Bytes }>;
  attach(ref: string, options: AttachOptions): Promise<AttachSession>;
  resize(ref: string, size: { readonly rows: number; readonly columns: number }): Promise<void>;
  top(ref: string, psArgs: string): Promise<TopAnswer>;
  /** What it uses now, `compared` with a while ago: at once, or after a fifth of a second. Zeros when it does not run. */
  stats(ref: string, options: { readonly compared: boolean; readonly signal: AbortSignal }): Promise<ContainerStats>;
  /** The same at once and then every second, until the signal aborts or the container is removed. */
  followStats(ref: string, signal: AbortSignal): AsyncIterable<ContainerStats>;
}

export interface LogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  readonly timestamps: boolean;
  /** Nanoseconds since 1970; 0 means from the start / no end. */
  readonly since: bigint;
  readonly until: bigint;
  /** undefined is all. */
  readonly tail?: number;
  readonly details: boolean;
  readonly signal: AbortSignal;
}

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly logs: boolean;
  readonly stream: boolean;
  readonly detachKeys?: string;
  /** Never in Docker's frames, also without a terminal. */
  readonly raw?: boolean;
}

/** Ready to be connected: output from the moment `attach` returned is buffered until `serve` runs. */
export interface AttachSession {
  readonly kind: "raw" | "multiplexed";
  serve(socket: HijackedSocket): Promise<void>;
  /** Instead of `serve`, when there is no connection to serve: nobody waits for this reader any more. */
  leave(): void;
}
