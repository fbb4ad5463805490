import { type Descriptor, type Digest, digestOf } from "../../oci/mod.ts";

/** What BuildKit calls the list of a cache's records (cache/remotecache/v1/spec.go). */
export const cacheConfigType = "application/vnd.buildkit.cacheconfig.v0";

/** Annotations of a layer: the diff id (containerd), when it was made (BuildKit), and sizes of ours. */
export const annotations = {
  diffId: "containerd.io/uncompressed",
  created: "buildkit/createdat",
  /** Bytes of the plain layer. */
  size: "berth.layer.size",
  /** What its files take on a disk. */
  bytes: "berth.layer.bytes",
} as const;

/** A chain id (OCI image-spec config.md, "Layer ChainID"), or "" for no layers at all. */
export type Chain = Digest | "";

export function onTop(below: Chain, diffId: Digest): Digest {
  return below === "" ? diffId : digestOf(`${below} ${diffId}`);
}

/** A layer of a cache, on top of others. */
export interface CacheLayer {
  readonly blob: Descriptor;
  readonly diffId: Digest;
  /** Bytes of the plain layer, where the cache says so. */
  readonly size?: number;
  /** What its files take on a disk. */
  readonly bytes?: number;
  readonly below: Chain;
  /** Together with `below`. */
  readonly chain: Digest;
}

export interface CacheStep {
  /** undefined: the step left what its base image has. */
  readonly layer?: CacheLayer;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** What a cache holds. */
export interface RemoteCache {
  /** By portable key. */
  readonly steps: ReadonlyMap<Digest, CacheStep>;
  /** Whether chains begin with the layers of the base image; otherwise on top of them. */
  readonly whole: boolean;
}
