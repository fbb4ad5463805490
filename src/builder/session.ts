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
}
