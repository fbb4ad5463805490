import type { Tx } from "../db/mod.ts";
import type { Mount } from "../host/mod.ts";

/**
 * File system states with parents, on overlayfs.
 *
 * A snapshot is *active* (being written: a container's own layer, a build step, a layer being unpacked) or *committed*
 * (immutable, may be a parent). `prepare` makes an active one on a committed parent, whoever asked mounts what it gets
 * back and writes, `commit` gives it its final name. `view` is a read-only look at a committed one. `remove` is refused
 * while another snapshot has it as a parent. Mounts are handed out, never mounted here.
 *
 * A *key* names an active snapshot, a *name* a committed one; both are free text in one namespace, such as
 * `container/ID` or `layer/sha256:…` .
 *
 * Files: `DIR/s/N/fs` (the layer's own files: overlay's upperdir), `DIR/s/N/work`. N is the row's number in base 36, short
 * so that 128 parents fit into one page of mount options (mounted relative to an open directory fd). The row is the truth:
 * `sweep` deletes directories without one.
 */
export interface Snapshotter {
  info(name: string): SnapshotInfo | undefined;
  /** Throws "not-found" (parent), "conflict" (key exists, or the parent is not committed). */
  prepare(key: string, parent?: string): Promise<Mount[]>;
  view(parent: string, options?: { readonly at?: string }): Promise<Mount[]>;
  /**
   * The mounts of an active snapshot again, after a restart. With `at` they are for a {@link Snapshotter.root} that shows at
   * this place. Throws "not-found".
   */
  mounts(key: string, options?: { readonly at?: string }): Mount[];
  /** The directory with all snapshots, for whoever mounts them with other owners. */
  readonly root: string;
  /** Makes an active snapshot immutable under its final name. "conflict" when the name is taken (the active one stays). */
  commit(name: string, key: string): Promise<void>;
  /** Row first, then files, in a worker. Throws "conflict" while it has children; no error when it is gone. */
  remove(name: string): Promise<void>;
  /** Disk use of the layer's own files. */
  usage(name: string): Promise<{ bytes: number; inodes: number }>;
  list(): Iterable<SnapshotInfo>;
  /** Deletes directories without a row, and active rows whose directory was never finished; safe at any time, due at daemon start. */
  sweep(): Promise<void>;
  /** The directory with the layer's own files, overlay markers and all: what a layer is unpacked into and packed from. Throws "not-found". */
  directory(name: string): string;
  /** For gc's leases: snapshots made or asked for (also as a parent) since this performance.now() of this process. */
  usedSince(since: number): string[];
  /** For gc: deletes, in this transaction, the rows of all snapshots that are neither roots nor parents of what stays; `deleteDropped` deletes the files afterwards and returns how many bytes that freed. */
  dropUnreferenced(tx: Tx, roots: Iterable<string>): DroppedSnapshot[];
  deleteDropped(dropped: readonly DroppedSnapshot[]): Promise<number>;
}

export interface DroppedSnapshot {
  readonly id: number;
  readonly name: string;
}

export interface SnapshotInfo {
  readonly name: string;
  readonly parent?: string;
  readonly state: "active" | "committed";
  /** Milliseconds since 1970. */
  readonly created: number;
}
