import type { Duplex, Readable } from "node:stream";
import type { Net } from "./net/net.ts";
import type { Owner } from "./users/id-map.ts";
import type { UserNamespaces } from "./users/users.ts";

/**
 * The kernel and other programs: the only module that uses FFI and spawns processes. Everything above asks through
 * these interfaces, which are small so that a test can put a recording twin in their place.
 */
export interface Host {
  readonly mounts: Mounts;
  readonly processes: Processes;
  readonly cgroups: Cgroups;
  readonly net: Net;
  readonly users: UserNamespaces;
  /** Files below a root that somebody hostile may have written: no path leaves it. */
  rooted(root: string): RootedFs;
  readonly workers: Workers;
}

/** What to mount, as mount(8) and the OCI runtime spec name it. The word every module shares. */
export interface Mount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface Graft {
  readonly source: string;
  /** Where, seen from the root; made when nothing is there. */
  readonly destination: string;
  /** With what is mounted below the source. */
  readonly recursive: boolean;
  readonly readOnly: boolean;
}

export interface MountInfo {
  readonly target: string;
  readonly type: string;
  readonly source: string;
  /** Such as "shared:7" and "master:3": whose mounts appear here and where ours do (mount_namespaces(7)). */
  readonly peers: readonly string[];
}

export interface MappedBind {
  /** The path of a user namespace, whose ids are those that the files have on disk. */
  readonly userNamespace: string;
  /** What is mounted below the source comes along, with the same map; without it, that is not there. */
  readonly recursive?: boolean;
}

/** mount(2) and umount2(2) by FFI, well under a millisecond each, which is why they may be synchronous. */
export interface Mounts {
  /** Options are mount(8)'s: known words become flags, the rest is data. Throws "internal" with errno's name. */
  mount(mount: Mount, target: string): void;
  /**
   * Shows a file or directory at another place, with the owners that its files have for a user namespace, bound at a path:
   * what belongs to an id of the namespace belongs there to that id's counterpart outside, and what is made there is stored
   * with the namespace's ids. Throws "unavailable" where the file system, or one below it that is to come along, cannot do it.
   */
  bindMapped(source: string, target: string, how: MappedBind): void;
  /** "detach" is MNT_DETACH. No error when nothing is mounted there. */
  unmount(target: string, mode?: "detach"): void;
  /** Binds files and directories of the host onto paths inside a root that somebody hostile wrote, one after the other, making their places for the owner; see graft.ts. What was bound before a failure stays. */
  graft(root: string, all: readonly Graft[], options?: { readonly owner?: Owner }): void;
  /** From /proc/self/mountinfo, unescaped. */
  list(): MountInfo[];
}

export interface RunOptions {
  readonly cwd?: string;
  /** The whole environment; the daemon's own is not inherited beyond PATH unless this is left out. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

export interface RunResult {
  /** 128+n when signal n ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SpawnOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Extra file descriptors by number (3 and up), and what stdin, stdout and stderr are. "pipe" above 2 is a pair of sockets;
   * "output" is a pipe that the child writes to, at any number.
   */
  readonly stdio: readonly ("pipe" | "output" | "ignore" | number)[];
  /** In a session of its own, so that it survives the daemon. */
  readonly detached?: boolean;
}

export interface Child {
  readonly pid: number;
  /** 128+n when signal n ended it. */
  readonly exited: Promise<number>;
  /** The parent's end of each "pipe" of `stdio`, by its number. */
  readonly pipes: ReadonlyMap<number, Duplex>;
  /** How many bytes the child has written to this pipe and nobody has read; 0 for one that is closed or not there. */
  unread(number: number): number;
  kill(signal: number): void;
}

export interface Processes {
  /** Runs to the end and collects its output (at most 16 MiB). Throws "unavailable" naming the Debian package when the program is missing. */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  spawn(argv: readonly string[], options: SpawnOptions): Child;
  /** Connects to a SOCK_SEQPACKET unix socket (conmon's attach socket); long paths work. */
  connectSeqpacket(path: string): Promise<PacketSocket>;
  /** Resolves when a process that need not be our child has ended (pidfd_open(2)); at once if there is none. */
  ended(pid: number, signal?: AbortSignal): Promise<void>;
  /** Listens where an OCI runtime is told to send a terminal to (`--console-socket`). Throws "internal". */
  consoleSocket(path: string): ConsoleSocket;
  /**
   * The command line for a process that runs as soon as it can (SCHED_FIFO, sched(7)), before everybody else, but not its
   * children. The same command line where the kernel does not allow that.
   */
  urgent(argv: readonly string[]): Promise<readonly string[]>;
}

export interface ConsoleSocket extends Disposable {
  /** The terminal that was sent; undefined when there was none yet. Never waits. */
  receive(): Pty | undefined;
}

/** The master's end of a pseudo-terminal. */
export interface Pty extends Disposable {
  /** Ends, with an error (EIO), when nobody has the terminal open any more. */
  readonly output: Readable;
  /** Resolves when the terminal has taken it; waits while its program does not read. Rejects when it was disposed. */
  write(bytes: Uint8Array): Promise<void>;
  /** Whether there is output that nobody has read, also some that the kernel has yet to hand over; false once it was disposed. */
  hasOutput(): boolean;
  /** Tells the programs in the foreground (SIGWINCH). Does nothing once it was disposed. */
  resize(size: { readonly rows: number; readonly columns: number }): void;
}

/** A packet socket: message boundaries are kept. */
export interface PacketSocket extends Disposable {
  /** One message a time; ends when the peer closes. Reading is what keeps the peer from stalling. */
  readonly packets: AsyncIterable<Uint8Array>;
  /** Resolves when the kernel took the packet (back-pressure). */
  write(packet: Uint8Array): Promise<void>;
  /** Half-close: no more writes. */
  end(): void;
}

/** What of cgroups differs between v1 and v2; paths are relative to the hierarchy's root, such as "/berth/ab12". */
export interface Cgroups {
  readonly version: "v1" | "hybrid" | "v2";
  /** Controllers that can limit something here. */
  readonly controllers: ReadonlySet<string>;
  /** Looked up anew each time: hierarchies may be mounted while we run. */
  readonly controls: CgroupControls;
  /** Pids of a cgroup and its descendants; empty when it is gone. */
  pids(path: string): number[];
  /** True when the kernel's OOM killer has killed in this cgroup. */
  oomKilled(path: string): boolean;
  /** Removes it and its empty descendants in every hierarchy; no error when it is gone. */
  remove(path: string): void;
  /** Counters as `stats` needs them: bytes, nanoseconds, counts. */
  usage(path: string): CgroupUsage;
  /** The values of the files that an update may change, in the kernel's words; empty when it is gone. */
  limits(path: string): ReadonlyMap<string, string>;
  /** Puts back what `limits` gave. Throws "internal" naming the file that the kernel refuses. */
  restore(path: string, limits: ReadonlyMap<string, string>): void;
  /** Takes a limit away, for which crun has no word. Throws "internal" naming the file. */
  lift(path: string, limit: CgroupLimit): void;
  /**
   * Says that a process is about to be moved into a cgroup, which then does not have to wait. The kernel lets a move wait for
   * an RCU grace period (6 to 16 ms measured; `cgroup_threadgroup_rwsem` in kernel/cgroup/cgroup.c) unless there was another
   * within the last 10 ms or so. This makes one that changes nothing, in another thread. Never fails.
   */
  expectMove(): void;
}

export type CgroupLimit = "pids" | "cpuQuota";

/** What this host's cgroups can do: what is false here has no effect, or fails. */
export interface CgroupControls {
  readonly memory: boolean;
  /** Memory and swap together. */
  readonly swap: boolean;
  readonly reservation: boolean;
  readonly swappiness: boolean;
  readonly oomKillDisable: boolean;
  readonly cpuShares: boolean;
  readonly cpuQuota: boolean;
  readonly cpuRealtime: boolean;
  readonly cpuset: boolean;
  /** Processors and memory nodes that there are, such as "0-3,6"; empty when that is not known. */
  readonly cpus: string;
  readonly mems: string;
  readonly pids: boolean;
  readonly blkioWeight: boolean;
  readonly blkioWeightDevice: boolean;
  readonly readBps: boolean;
  readonly writeBps: boolean;
  readonly readIOps: boolean;
  readonly writeIOps: boolean;
  /** Whether the kernel has cgroup namespaces. */
  readonly namespaces: boolean;
}

export interface CgroupUsage {
  readonly cpu: {
    readonly totalNs: number;
    readonly userNs: number;
    readonly systemNs: number;
    /** By processor; v1 only. */
    readonly perCpuNs?: readonly number[];
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledNs: number;
  };
  readonly memory: {
    readonly usage: number;
    readonly limit: number;
    /** The most that it has ever been, and how often the limit was hit; v1 only. */
    readonly maxUsage?: number;
    readonly failures?: number;
    /** All of memory.stat, whose keys differ between v1 and v2. */
    readonly stats: Readonly<Record<string, number>>;
  };
  readonly pids: { readonly current: number; readonly limit: number };
  /** `operations` only where the kernel counts them apart (v1). */
  readonly io: { readonly bytes: readonly IoCounter[]; readonly operations?: readonly IoCounter[] };
}

export interface IoCounter {
  readonly major: number;
  readonly minor: number;
  /** The kernel's word: on v1 "Read", "Write", "Sync", "Async", "Discard", "Total", on v2 "read" and "write". */
  readonly op: string;
  readonly value: number;
}

/** Small files below a root, every path resolved with openat2(RESOLVE_IN_ROOT): symlinks cannot lead out. */
export interface RootedFs {
  /** Whole content of a regular file, at most `limit` bytes (default 1 MiB); undefined when there is no such file. */
  readFile(path: string, limit?: number): Uint8Array | undefined;
  stat(path: string): RootedStat | undefined;
  /** The real host path of an existing directory or file inside the root, symlinks resolved inside it; undefined when absent. Racy by nature: only for a root whose container does not run. */
  resolve(path: string): string | undefined;
  /** mkdir -p; new directories get this mode and owner. Throws "invalid" when a component is not a directory. */
  mkdirs(path: string, options?: { mode?: number; uid?: number; gid?: number }): void;
}

export interface RootedStat {
  readonly type: "file" | "directory" | "symlink" | "other";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeNs: bigint;
}

/**
 * Heavy work off the main thread: a job is a named function that every worker thread knows (they are listed in
 * `src/worker.ts`); its input and output cross by structured clone. Workers run at a lower CPU priority than the main
 * thread, so that `ps` answers while they are busy.
 */
export interface Workers extends AsyncDisposable {
  /** Runs the job in a free worker. An abort reaches the job through its context and rejects this promise. */
  run<I, O>(job: Job<I, O>, input: I, options?: JobOptions): Promise<O>;
}

export interface Job<I, O> {
  readonly name: string;
  run(input: I, context: JobContext): O | Promise<O>;
}

export interface JobOptions {
  readonly signal?: AbortSignal;
  /** Called with what the job passes to `context.report`. */
  readonly onReport?: (message: unknown) => void;
  /** The job mostly waits for something outside (a download, a slow reader): it gets a thread beyond the pool's size. */
  readonly waits?: boolean;
}

export interface JobContext {
  /** Throws an AbortError once the caller has aborted; jobs call it between files. Cheap. */
  check(): void;
  report(message: unknown): void;
}
