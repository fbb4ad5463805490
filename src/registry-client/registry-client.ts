import type { Descriptor, Digest, Reference } from "../oci/mod.ts";
import type { Bytes } from "../stream/mod.ts";

/**
 * The distribution protocol (OCI distribution-spec), authentication, mirrors and retries. Mirrors are asked first for
 * Docker Hub names; registries listed as insecure, and loopback addresses, may speak plain HTTP.
 */
export interface RegistryClient {
  /** Throws "not-found" (`manifest for NAME not found: manifest unknown`), "unauthorized", "unavailable". */
  resolve(ref: Reference, options: RegistryOptions): Promise<Descriptor>;
  /** A manifest's or a blob's bytes from `offset` on; the caller verifies them. */
  fetch(ref: Reference, target: Descriptor, options: RegistryOptions & { readonly offset?: number }): Promise<Bytes>;
  /** True when the repository already has the blob. */
  has(ref: Reference, target: Descriptor, options: RegistryOptions): Promise<boolean>;
  /** Uploads a blob; `body` may be asked for again after a failure. `mountFrom` names a repository of the same registry that has it. */
  pushBlob(
    ref: Reference,
    target: Descriptor,
    body: () => Bytes,
    options: RegistryOptions & { readonly mountFrom?: string },
  ): Promise<"uploaded" | "mounted">;
  pushManifest(ref: Reference, target: Descriptor, bytes: Uint8Array, options: RegistryOptions): Promise<void>;
  /** A manifest whose `subject` is another one, so that whoever asks for that one's referrers finds it; also where the registry does not know of them. */
  pushReferrer(
    ref: Reference,
    target: Descriptor,
    options: RegistryOptions & { readonly bytes: Uint8Array; readonly subject: Digest },
  ): Promise<void>;
  tags(ref: Reference, options: RegistryOptions): Promise<string[]>;
}

export interface RegistryOptions {
  readonly signal: AbortSignal;
  readonly auth?: RegistryAuth;
}

/** What the X-Registry-Auth header holds. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
  readonly serverAddress?: string;
}
