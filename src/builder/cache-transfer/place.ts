import type { Descriptor } from "../../oci/mod.ts";
import type { Bytes } from "../../stream/mod.ts";

/** Where a cache comes from. Nothing that it gives is verified. */
export interface CacheReader {
  /** The cache's manifest, or that of an image which has a cache inside; an empty media type says that it is to be looked at. Throws "not-found". */
  root(): Promise<Descriptor>;
  read(target: Descriptor): Promise<Bytes> | Bytes;
}

/** Where a cache goes. */
export interface CacheWriter {
  has(target: Descriptor): Promise<boolean>;
  /** `body` may be asked for again after a failure. */
  write(target: Descriptor, body: () => Bytes): Promise<void>;
  /** Makes all that was written a cache. */
  publish(target: Descriptor, bytes: Uint8Array): Promise<void>;
}
