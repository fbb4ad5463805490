import type { Descriptor, Digest } from "../oci/mod.ts";
import type { RegistryAuth } from "../registry-client/mod.ts";
import type { Bytes } from "../stream/mod.ts";

/**
 * What the client of a build keeps to itself and hands out while the build runs. Nothing of it is stored: no cache key,
 * layer, history or log has a secret's value.
 */
export interface BuildSession {
  /** The secret's value; undefined when the client has none of this id. */
  secret(id: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Whether the client forwards an ssh agent of this id. */
  hasAgent(id: string, signal: AbortSignal): Promise<boolean>;
  /** One connection to that agent: what the step says in, what the agent says out. */
  agent(id: string, input: Bytes, signal: AbortSignal): Bytes;
  /** Credentials for a registry, by its host name. */
  credentials(host: string, signal: AbortSignal): Promise<RegistryAuth | undefined>;
  /** A directory of the client's that holds bytes by digest; undefined when the client hands out none. */
  store(id: string): ClientStore | undefined;
}

/** Neither what it has nor what it says of itself is verified. */
export interface ClientStore {
  /** undefined when it does not have that. */
  size(digest: Digest, signal: AbortSignal): Promise<number | undefined>;
  /** No more bytes than the size that is asked for. */
  read(target: Descriptor, signal: AbortSignal): Bytes;
  write(target: Descriptor, bytes: Bytes, signal: AbortSignal): Promise<void>;
}
