import type { Query } from "../db/mod.ts";
import type { Digest } from "../oci/mod.ts";

/**
 * Keeps what something refers to, deletes the rest. Every owner of references registers one `Roots` query (image names and
 * configs, containers' snapshots, build cache entries); edges are rows (manifest → blobs, snapshot → parent). Marking is one
 * recursive query in the transaction that deletes the rows; files go after it. A lease keeps everything that was made or
 * asked for while it is held, from the first byte to the final reference.
 */
export interface Collector {
  /** Deletes unreferenced blobs and snapshots and returns how many bytes that freed. Runs one at a time; waits for no lease. Throws "internal" while an owner that was announced has not registered: its things would all be garbage. */
  collect(): Promise<Collected>;
  /** Once per owner, at construction. Throws "internal" for an owner that was not announced or registers twice. */
  register(owner: string, roots: Roots): void;
}

export interface Collected {
  readonly bytes: number;
  readonly blobs: Digest[];
  readonly snapshots: string[];
}

export interface Leases {
  /**
   * Nothing that is created while `body` runs, and nothing that exists and that it asks a store for (`info`, `open`, `path`,
   * `prepare`, `directory`, …), is collected before it ends. So ask the store before relying on what a row of your own says.
   * Leases live in this process: after a restart, what nothing refers to is garbage.
   */
  hold<T>(body: () => Promise<T>): Promise<T>;
}

export interface Roots {
  /** Digests of blobs that must stay, besides what they refer to. */
  readonly content?: (q: Query) => Iterable<Digest>;
  /** Names of snapshots that must stay, besides their parents. */
  readonly snapshots?: (q: Query) => Iterable<string>;
}
