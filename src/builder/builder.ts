import type { Image } from "../images/mod.ts";
import type { Descriptor } from "../oci/mod.ts";
import type { RegistryAuth } from "../registry-client/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type { BuildCacheRecord, BuildQuery, CheckResult, Filters, ProgressSink } from "../wire/mod.ts";
import type { Material } from "./attest/provenance.ts";
import type { Lines } from "./dockerfile/error.ts";
import type { Source } from "./dockerfile/quote.ts";
import type { PackedContext } from "./jobs/select.ts";
import type { KeptContexts } from "./kept/kept-contexts.ts";
import type { BuildObserver } from "./observer.ts";
import type { Outline, Target } from "./outline.ts";
import type { BuildSession } from "./session.ts";

/**
 * Dockerfile → graph (both pure) → solve (cache or run each vertex) → image.
 *
 * A *vertex* is one step: a source, a process, a copy. Its result is a committed snapshot. Only what the target needs is in
 * the graph, vertices without a dependency between them run at the same time, and one that two builds share runs once.
 * The cache is by content: a vertex's key is made from its operation and its inputs' keys or content digests.
 */
export interface Builder {
  /** Throws "invalid" for a bad tag or extra host, with file, line and the lines themselves for a bad Dockerfile; a failed RUN is "invalid" `The command '/bin/sh -c …' returned a non-zero code: 3` with `code` in the progress. */
  build(context: BuildContext, options: BuildOptions): Promise<Image>;
  /** The same context built in several ways, such as for several platforms, one after the other; the images in order. */
  buildEach(context: BuildContext, each: readonly BuildOptions[]): Promise<Image[]>;
  /** What BuildKit's build checks say about the Dockerfile; nothing is built or pulled. The context's files are deleted. */
  check(context: BuildContext, options: CheckOptions): Promise<CheckResult>;
  /** The same, with the Dockerfile itself and what can be chosen in it. */
  describe(context: BuildContext, options: CheckOptions): Promise<Description>;
  /** Where an error of this builder arose, as far as that is known. */
  failurePlace(err: unknown): FailurePlace | undefined;
  /** Contexts of which the contents are kept, for clients that send only what changed. */
  readonly contexts: Pick<KeptContexts, "compare" | "complete">;
  /** All files of an image as an archive, for outputs that are no image. The image must stay until it is read. */
  files(image: Image, signal: AbortSignal): Bytes;
  /** Forgets cache entries that no build uses. Filters: see `planPrune`. */
  prune(filter: Filters, options: PruneOptions): Promise<{ deleted: string[]; reclaimed: number }>;
  /** What the cache holds, for `system df`. */
  usage(): Promise<BuildCacheRecord[]>;
}

/** For clients that show the lines of the Dockerfile themselves. */
export interface FailurePlace {
  /** Of the Dockerfile, as the user named it. */
  readonly name: string;
  readonly lines: Lines;
  /** Without the lines that the error's own message may quote. */
  readonly message: string;
  /** The Dockerfile in at most so many bytes; see `quotable`. */
  text(most: number): string | undefined;
}

/** Bytes; see `CacheSpace`. */
export interface PruneOptions {
  /** Cache mounts and kept contexts as well. */
  readonly all: boolean;
  readonly reserved?: number;
  readonly most?: number;
  readonly minFree?: number;
}

/** The files of a build, which belong to it and are deleted with it. */
export interface BuildContext {
  /** Where they are; with `packed` where they will be once they must. */
  readonly directory: string;
  readonly packed?: PackedContext;
  /** Path of the Dockerfile inside the context. */
  readonly dockerfile: string;
  /** The Dockerfile itself when it is not in the context (stdin, `-f` outside). */
  readonly dockerfileText?: string;
  /** Patterns of .dockerignore, which whoever made the context has applied. */
  readonly ignore?: readonly string[];
  /** Where it is from, unless a client sent it. */
  readonly origin?: Material;
}

/** What is known of a Dockerfile before anything of it is built. */
export interface Description {
  readonly source: Source;
  readonly check: CheckResult;
  /** Throws "invalid" for what is no Dockerfile. */
  targets(): readonly Target[];
  /** Throws "invalid", also for a target that is not there. */
  outline(): Outline;
}

export type CheckOptions = Pick<BuildOptions, "args" | "target" | "platform" | "contexts">;

export interface PublishedCache {
  /** As the client names it. */
  readonly directory: string;
  readonly manifest: Descriptor;
}

export interface FailureWords {
  /** A RUN ended with another status than 0. */
  run(command: string, code: number): string;
  /** What COPY, ADD or a mount reads from is not there; the path is relative to the root. */
  missing(path: string): string;
  /** An image that FROM or --from names cannot be had. */
  image(image: UnavailableImage): string;
}

export interface UnavailableImage {
  /** As it is named. */
  readonly name: string;
  /** With its domain and tag. */
  readonly ref: string;
  readonly reason: string;
}

/** What `POST /build` asks for, beside where the files are. */
export interface BuildOptions
  extends Omit<BuildQuery, "dockerfile" | "remote" | "context" | "namedContexts" | "check" | "call" | "session"> {
  readonly registryAuth: Readonly<Record<string, RegistryAuth>>;
  /** Named contexts: what FROM and --from mean by a name, as an image's reference or id, or `scratch`. */
  readonly contexts?: Readonly<Record<string, string>>;
  /** Clients without one have no secrets and no ssh agents. */
  readonly session?: BuildSession;
  /** Told of each cache that is in one of the client's directories now, for the index there. */
  readonly cachePublished?: (cache: PublishedCache) => void;
  readonly progress: ProgressSink;
  /** Told besides `progress`. */
  readonly observer?: BuildObserver;
  /** How failures are told that clients match on; default: the classic builder's words. */
  readonly words?: FailureWords;
  readonly signal: AbortSignal;
}
