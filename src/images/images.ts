import type { Descriptor, Digest, ImageConfig, ImageRunConfig, Reference } from "../oci/mod.ts";
import type { RegistryAuth } from "../registry-client/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type {
  Filters,
  ImageDeleteItem,
  ImageHistoryItem,
  ImageInspect,
  ImageSummary,
  ProgressSink,
} from "../wire/mod.ts";

/**
 * Names for images. An image is known by its id, the digest of its config; names (`repo:tag`) and digests
 * (`repo@sha256:…`) point at it. Its layers are unpacked when it arrives, so that a container starts from snapshots that
 * exist. An image without a name is "dangling"; removing its last name removes it, unless a container uses it.
 */
export interface Images {
  /** By name, id, id prefix (unambiguous), or digest. Throws "not-found": `No such image: NAME`. */
  get(refOrId: string): Image;
  find(refOrId: string): Image | undefined;
  /** Filters: dangling, label, before, since, reference, until. */
  list(options: {
    readonly filter: Filters;
    readonly all: boolean;
    readonly sharedSize: boolean;
  }): Promise<ImageSummary[]>;
  inspect(refOrId: string): Promise<ImageInspect>;
  history(refOrId: string): Promise<ImageHistoryItem[]>;
  tag(image: Image, name: Reference): void;
  /** Docker's rules for names, ids, `force`, children and use by containers ("conflict", in Docker's words). */
  remove(refOrId: string, options: { readonly force: boolean; readonly prune: boolean }): Promise<ImageDeleteItem[]>;
  prune(filter: Filters): Promise<{ deleted: ImageDeleteItem[]; reclaimed: number }>;
  /** The committed snapshot to start a container from; undefined for an image without layers. Unpacks what is missing. */
  rootfs(image: Image): Promise<string | undefined>;
  /** The layers' blobs, bottom first: what an image made from this one begins with. */
  layers(image: Image): readonly Descriptor[];
  /** Registers an image from parts that are in the content store (build, commit, import). `layers` bottom first; blobs must exist, chains be recorded. Publishes no event itself. */
  register(request: NewImage): Promise<Image>;
  /** Told which images containers use, so that removal can refuse. Registered once by `containers`. */
  onUse(users: (imageId: Digest) => readonly ImageUser[]): void;
}

export interface ImageUser {
  readonly containerId: string;
  readonly running: boolean;
}

export interface Image {
  /** Digest of the config. */
  readonly id: Digest;
  readonly config: ImageConfig;
  /** Shorthand for `config.config ?? {}`. */
  readonly run: ImageRunConfig;
  readonly names: readonly string[];
}

export interface NewImage {
  readonly config: ImageConfig;
  readonly layers: readonly Descriptor[];
  /** The image it was made from, for `Parent`. */
  readonly parent?: Digest;
  readonly names?: readonly Reference[];
  /** Chains that may stay packed until somebody asks for the rootfs, with the bytes that their files will take. */
  readonly packed?: ReadonlyMap<Digest, number>;
}

export interface TransferOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressSink;
  readonly auth?: RegistryAuth;
  readonly platform?: string;
}

/** Moving images between here, registries and archives. Everything is verified; failures leave nothing behind. */
export interface ImageTransfer {
  pull(ref: Reference, options: TransferOptions): Promise<Image>;
  /** Every tag of a repository, one after the other. Throws "not-found" when it has none. */
  pullAll(repository: Reference, options: TransferOptions): Promise<Image[]>;
  /** All tags of a repository when `ref` has no tag and `allTags` is set. */
  push(ref: Reference, options: TransferOptions): Promise<void>;
  /** docker-archive and OCI layout, plain or compressed. */
  load(tar: Bytes, options: TransferOptions & { readonly quiet?: boolean }): Promise<Image[]>;
  /** `names`: what the archive calls its images, besides the names that they are asked for by. */
  save(
    refs: readonly string[],
    options: { readonly signal: AbortSignal; readonly platform?: string; readonly names?: readonly Reference[] },
  ): Bytes;
  import(tar: Bytes, options: TransferOptions & ImportOptions): Promise<Image>;
}

export interface ImportOptions {
  readonly name?: Reference;
  /** Dockerfile instructions: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR, HEALTHCHECK. */
  readonly changes: readonly string[];
  readonly message?: string;
}
