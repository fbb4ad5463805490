import type { Descriptor, Digest, ImageConfig, ImageRunConfig, Platform, Reference } from "../oci/mod.ts";
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
  /** Of all images that are here. */
  ids(): ReadonlySet<Digest>;
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
  /** Takes an image away that nobody was told of; one that got a name, or a container, meanwhile stays. */
  discard(image: Pick<Image, "id">): Promise<void>;
  /** Keeps what is said about an image as long as the image, each in place of what was said with the same type before. Throws "not-found". */
  attest(image: Image, attestations: readonly Attestation[]): Promise<void>;
  /** What is said about an image, by type. Throws "not-found". */
  attestations(refOrId: string): Promise<Statement[]>;
  /** The image's manifest as it is here. Throws "not-found". */
  manifest(image: Image): Descriptor;
  /** Told which images containers use, so that removal can refuse. Registered once by `containers`. */
  onUse(users: (imageId: Digest) => readonly ImageUser[]): void;
}

export interface Attestation {
  /** A URI, such as `https://spdx.dev/Document`. */
  readonly predicateType: string;
  /** JSON. */
  readonly predicate: Uint8Array;
}

/** An in-toto statement: an attestation with the image that it is about. */
export interface Statement {
  readonly predicateType: string;
  /** JSON. */
  readonly bytes: Uint8Array;
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
  /** One image to a name that it need not have here; without a tag the registry knows it by its digest alone. Returns its manifest there. */
  pushImage(image: Image, ref: Reference, options: PushImageOptions): Promise<Descriptor>;
  /** Images for several platforms under one name: an index of their manifests, each of which goes there by its digest alone. */
  pushIndex(images: readonly Image[], ref: Reference, options: PushImageOptions): Promise<Descriptor>;
  /** What a name stands for in its registry; nothing of it comes here. Throws "not-found". */
  look(ref: Reference, options: Pick<TransferOptions, "signal" | "auth">): Promise<RemoteFacts>;
  /** docker-archive and OCI layout, plain or compressed. */
  load(tar: Bytes, options: TransferOptions & { readonly quiet?: boolean }): Promise<Image[]>;
  save(refs: readonly string[], options: SaveOptions): Bytes;
  import(tar: Bytes, options: TransferOptions & ImportOptions): Promise<Image>;
  /** The form in which a plain layer is pushed: gzip. Made once; to be called under a lease. */
  compressed(layer: Descriptor, signal: AbortSignal): Promise<Descriptor>;
}

export interface RemoteFacts {
  /** A manifest, or an index of them. */
  readonly named: Descriptor;
  readonly platforms: readonly Platform[];
}

export type PushImageOptions = Omit<TransferOptions, "platform"> & { readonly form?: ImageForm };

export interface SaveOptions {
  readonly signal: AbortSignal;
  readonly platform?: string;
  /** What the archive calls its images, besides the names that they are asked for by. */
  readonly names?: readonly Reference[];
  /** The images as one, for several platforms: the names are those of an index of them. */
  readonly asIndex?: boolean;
  /** Layers and media types as they are stored unless it is given. */
  readonly form?: ImageForm;
}

/** How an image is written down for others. Its config, and so its id, is the same in every form. */
export interface ImageForm {
  /** Of the layers that are stored as plain tar, which those are that were built here. */
  readonly compression: "gzip" | "zstd" | "uncompressed";
  /** Of all layers, also those of the base. */
  readonly force?: boolean;
  /** 0 to 9 for gzip, 0 to 22 for zstd. */
  readonly level?: number;
  /** As they are stored unless it is given. */
  readonly mediaTypes?: "oci" | "docker";
}

export interface ImportOptions {
  readonly name?: Reference;
  /** Dockerfile instructions: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR, HEALTHCHECK. */
  readonly changes: readonly string[];
  readonly message?: string;
}
