import type { Descriptor, Digest } from "../oci/mod.ts";

/**
 * What a registry knows beyond bytes: which repository has which blobs and manifests, and what its tags point at. The
 * bytes themselves are in the content store, once for all repositories; a repository shows only what was pushed or mounted
 * into it. Rows are the truth: a blob without one is garbage (`registryRoots`).
 *
 * Names are checked before they get here (`names.ts`).
 */
export interface TagStore {
  hasBlob(repository: string, digest: Digest): boolean;
  addBlob(repository: string, digest: Digest): void;
  /** False when the repository does not have it. */
  removeBlob(repository: string, digest: Digest): boolean;
  /** By tag or digest. */
  manifest(repository: string, reference: string): StoredManifest | undefined;
  putManifest(repository: string, manifest: StoredManifest, tag?: string): void;
  /** Removes the manifest and the tags that point at it. False when the repository does not have it. */
  removeManifest(repository: string, digest: Digest): boolean;
  removeTag(repository: string, tag: string): boolean;
  /** True when anything was ever pushed into it that is still there. */
  exists(repository: string): boolean;
  /** In lexical order (bytes), after `last`. */
  tags(repository: string, page: Page): string[];
  repositories(page: Page): string[];
  /** Manifests whose subject is this digest, in order of digest. */
  referrers(repository: string, subject: Digest): Descriptor[];
}

export interface Page {
  /** At most so many entries. */
  readonly limit: number;
  /** Only entries after this one. */
  readonly last?: string;
}

export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly subject?: Digest;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}
