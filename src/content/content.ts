import type { Tx } from "../db/mod.ts";
import type { Descriptor, Digest } from "../oci/mod.ts";
import type { Bytes } from "../stream/mod.ts";

/**
 * Bytes by digest. A blob is written to a temporary name (`ingest`), hashed as it streams, synced, and renamed to its
 * digest on `commit`, which verifies it; before that nobody can see it, and afterwards it never changes. What a crash
 * left unfinished is deleted at the next open. A blob that no image, cache entry or lease refers to is garbage, which is
 * `gc`'s business: nothing here decides what is needed.
 *
 * Files: `DIR/blobs/sha256/HEX`, `DIR/ingest/NAME`. Table `content(digest, size, created)`; the row is the truth. Table
 * `content_refs(parent, child)`: what a manifest or index refers to, written with `recordReferences` by whoever read it.
 */
export interface ContentStore extends ContentReader {
  /** Starts writing a blob. `expected` is verified at commit; a blob that is already there is not a reason to fail. */
  ingest(expected?: Partial<Pick<Descriptor, "digest" | "size">>): Promise<Ingest>;
  /** Ingests bytes that fit into memory (configs, manifests), unless they are there. */
  put(bytes: Uint8Array): Promise<Digest>;
  remove(digest: Digest): Promise<void>;
  list(): Iterable<ContentInfo>;
  /** For gc's leases: blobs created or asked for (`info`, `open`, `read`, `path`) since this performance.now() of this process. */
  usedSince(since: number): Digest[];
  /** For gc: deletes, in this transaction, the rows of all blobs that no root leads to; `deleteDropped` deletes the files afterwards, unless the blob came again meanwhile. */
  dropUnreferenced(tx: Tx, roots: Iterable<Digest>): ContentInfo[];
  deleteDropped(dropped: readonly ContentInfo[]): Promise<void>;
}

export interface ContentReader {
  info(digest: Digest): ContentInfo | undefined;
  /** Throws "not-found". `end` is the first byte that is not wanted. */
  open(digest: Digest, range?: { start: number; end: number }): Bytes;
  /** Whole content of a small blob (at most 8 MiB). Throws "not-found", "invalid" when larger. */
  read(digest: Digest): Promise<Uint8Array>;
  /** The file that holds the blob, for workers and sendfile. Throws "not-found". */
  path(digest: Digest): string;
}

export interface ContentInfo {
  readonly digest: Digest;
  readonly size: number;
}

/** A blob being written. Disposing one that was not committed aborts it. */
export interface Ingest extends AsyncDisposable {
  /** The file being written, which only grows: a worker may follow it while it is written. */
  readonly path: string;
  /** Bytes written so far. */
  readonly offset: number;
  /** One at a time. "invalid" as soon as there is more than the expected size, "unavailable" when the disk is full. */
  write(chunk: Uint8Array): Promise<void>;
  /** Verifies size and digest ("invalid" when they differ, naming both), syncs and publishes. */
  commit(): Promise<ContentInfo>;
  abort(): Promise<void>;
}
