import type { ImageConfig, ImageRunConfig, Platform } from "../../oci/mod.ts";
import type { Dockerfile } from "../dockerfile/dockerfile.ts";
import type { Lines } from "../dockerfile/error.ts";
import type { Vertex } from "./vertex.ts";

/** What a Dockerfile comes to: only the stages that the target needs, with every variable expanded. */
export interface BuildGraph {
  /** In the order of the Dockerfile, for `Step 1/4 : …`. */
  readonly steps: readonly Step[];
  readonly result: StageResult;
  /** Indices of the stages that the target needs. */
  readonly stages: ReadonlySet<number>;
  /** Names of --build-arg that nothing declares. */
  readonly unusedArgs: readonly string[];
  /** What the ARGs in front of the first FROM come to. */
  readonly globals: ReadonlyMap<string, string>;
}

export interface Step {
  readonly text: string;
  /** Where it stands; undefined for what the Dockerfile does not have. */
  readonly lines?: Lines;
  /** What the stage stands on after the step; undefined for an empty root. */
  readonly vertex?: Vertex;
  /** Whether the vertex is this step's own. */
  readonly runs: boolean;
}

/** An image to be: its file system, its configuration and how it came about. */
export interface StageResult {
  readonly vertex?: Vertex;
  /** The image that the first stage of the chain stands on; undefined for scratch. */
  readonly base?: ResolvedImage;
  readonly config: ImageRunConfig;
  readonly author?: string;
  readonly platform: Platform;
  /** On top of the base image's. */
  readonly history: readonly HistoryDraft[];
}

export interface HistoryDraft {
  readonly createdBy: string;
  /** The vertex whose files are the entry's layer. */
  readonly vertex?: Vertex;
}

/** An image that a FROM or a --from names, once it is known. */
export interface ResolvedImage {
  readonly id: `sha256:${string}`;
  readonly config: ImageConfig;
}

export interface NeededImage {
  readonly name: string;
  /** As FROM --platform or the build asked for it. */
  readonly platform?: string;
  /** Where it is named, for messages. */
  readonly lines: Lines;
}

export interface GraphOptions {
  readonly file: Dockerfile;
  /** null: the client named it but had no value. */
  readonly args: Readonly<Record<string, string | null>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly target?: string;
  /** Names of stages that run whatever the cache has, in any case. */
  readonly uncachedStages?: readonly string[];
  /** The platform to build for, and the one to build on. */
  readonly targetPlatform: Platform;
  readonly buildPlatform: Platform;
  /** True when the user asked for `targetPlatform`, which is then asked of every image. */
  readonly platformGiven: boolean;
  /** Names that stand for an image's reference or id, or for scratch, in FROM and --from; they hide stages and images of that name. */
  readonly contexts?: Readonly<Record<string, string>>;
  /** By {@link imageKey}. */
  readonly images: ReadonlyMap<string, ResolvedImage>;
}

export type GraphOutcome =
  | { readonly kind: "graph"; readonly graph: BuildGraph }
  /** These images must be known first; base images may bring ONBUILD triggers that need further ones. */
  | { readonly kind: "needs"; readonly images: readonly NeededImage[] };

/** By this key {@link GraphOptions.images} has an image. */
export function imageKey(image: Pick<NeededImage, "name" | "platform">): string {
  return `${image.name} ${image.platform ?? ""}`;
}
