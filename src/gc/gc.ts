import type { Query } from "../db/mod.ts";
import type { Digest } from "../oci/mod.ts";

/**
 * Keeps what something refers to, deletes the rest. Every owner of references registers one `Roots` query (image names and
 * configs, containers' snapshots, build cache entries); edges are rows (manifest → blobs, snapshot → parent). Marking is one
 * recursive query in the transaction that deletes the rows; files go after it. A lease keeps everything that was made while
 * it is held, from the first byte to the final reference.
 */
export interface Collector {
  /** Deletes unreferenced blobs and snapshots and returns how many bytes that freed. Runs one at a time; waits for no lease. */
  collect(): Promise<{ bytes: number; blobs: Digest[]; snapshots: string[] }>;
}

export interface Leases {
  /** Nothing created while `body` runs is collected before it ends. */
  hold<T>(body: () => Promise<T>): Promise<T>;
}

export interface Roots {
  /** Digests of blobs that must stay, besides what they refer to. */
  readonly content?: (q: Query) => Iterable<Digest>;
  /** Names of snapshots that must stay, besides their parents. */
  readonly snapshots?: (q: Query) => Iterable<string>;
}
