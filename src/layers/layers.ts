import type { Descriptor, Digest } from "../oci/mod.ts";

/**
 * Tar ⇄ snapshot, both ways, in workers, verifying diff ids. The only place where the two stores meet.
 *
 * A layer of an image is a blob (compressed tar) and, unpacked, a committed snapshot. The table
 * `chains(chain_id, snapshot)` says which snapshot holds "these layers on top of each other": unpacking records it, and so
 * does the builder for what it made itself, so that nothing that exists is ever unpacked.
 *
 * Unpacking is confined: a worker thread does it inside a chroot(2) of its own (unshare(CLONE_FS)), so that no `..`,
 * absolute name or symlink can lead out; such names are refused by name besides. Whiteouts become overlay's own.
 */
export interface Layers {
  /** Makes sure that every layer is unpacked (in parallel, each under its chain id's lock) and returns the top snapshot's name; undefined for no layers. Throws "invalid" when a diff id differs. */
  unpack(layers: readonly LayerSource[], options: UnpackOptions): Promise<string | undefined>;
  /** Unpacks one layer on top of a committed snapshot into a snapshot of this name, unless that is there. */
  restore(layer: LayerSource, options: RestoreOptions): Promise<void>;
  /** For a blob that brings a layer which is unpacked already: throws "invalid" when it holds something else. */
  verify(layer: Pick<LayerSource, "diffId" | "blob">, signal?: AbortSignal): Promise<void>;
  /** The snapshot of a chain, if it is there. */
  chain(chainId: Digest): string | undefined;
  /** Says that a committed snapshot holds this chain. */
  recordChain(chainId: Digest, snapshot: string): void;
  /** Packs a snapshot's own files into an uncompressed layer blob: sorted entries, whiteouts; the same files give the same digest. Remembered for committed snapshots (table `layer_blobs`). */
  pack(snapshot: string, options?: PackOptions): Promise<PackedLayer>;
  /** Changes of a snapshot against its parent, as `docker diff` lists them, sorted. */
  changes(snapshot: string): Promise<{ path: string; kind: "modified" | "added" | "deleted" }[]>;
}

export interface LayerSource {
  readonly diffId: Digest;
  /** The blob, in the content store by the time `ready` resolves; unpacking may follow `partial` while it is written. */
  readonly blob: Descriptor;
  readonly ready?: Promise<void>;
  /** A blob that is still arriving: its file, and how many bytes of it are there. */
  readonly partial?: GrowingFile;
}

/** A file that is being appended to by the main thread and followed by a worker. */
export interface GrowingFile {
  readonly path: string;
  /** Shared with the worker: [0] wake-up counter, [1] 0 growing, 1 complete, 2 failed; `size` is the readable length. */
  readonly state: SharedArrayBuffer;
}

export interface UnpackOptions {
  readonly signal: AbortSignal;
  /** Told once for each layer as it is unpacked. */
  readonly onUnpacked?: (diffId: Digest) => void;
}

export interface RestoreOptions {
  readonly name: string;
  readonly parent?: string;
  readonly signal: AbortSignal;
}

export interface PackOptions {
  readonly signal?: AbortSignal;
  /** Clamp modification times to this many seconds since 1970 (SOURCE_DATE_EPOCH). */
  readonly sourceDateEpoch?: number;
}

export interface PackedLayer {
  readonly blob: Descriptor;
  readonly diffId: Digest;
  /** True when the snapshot changes nothing against its parent. */
  readonly empty: boolean;
}
