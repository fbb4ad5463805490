import { EngineError, messageOf } from "../errors/mod.ts";
import { requireScans } from "./attest/attest.ts";
import type { BuildOptions, CheckOptions } from "./builder.ts";
import type { BuilderContext } from "./context.ts";
import { type Dockerfile, parsing } from "./dockerfile/dockerfile.ts";
import { withLines } from "./dockerfile/error.ts";
import type { Source } from "./dockerfile/quote.ts";
import { inSlices } from "./dockerfile/slices.ts";
import { didYouMean } from "./dockerfile/suggest.ts";
import { quoted } from "./failure-place.ts";
import { type BuildGraph, type GraphOptions, imageKey, type NeededImage, type ResolvedImage } from "./graph/graph.ts";
import { parsePlatform } from "./graph/platform.ts";
import { graphing } from "./graph/to-graph.ts";
import { type Finding, violation } from "./lint/findings.ts";
import { configOf, linting } from "./lint/lint.ts";
import { resolveImage } from "./resolve.ts";

/** A Dockerfile with what the client wants of it. */
export interface PlanInput<T extends CheckOptions> {
  readonly source: Source;
  /** Patterns of .dockerignore. */
  readonly ignore: readonly string[];
  readonly options: T;
}

export interface BuildPlan {
  readonly graph: BuildGraph;
  readonly findings: readonly Finding[];
  /** What the Dockerfile's names of images came to; by {@link imageKey}. */
  readonly images: ReadonlyMap<string, ResolvedImage>;
}

/** Names that people mean when they name an image that is not there (BuildKit `commonImageNames`). */
const commonImages = ["alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora"];

/** From text to graph; base images are pulled on the way. Errors quote the lines that they are about. */
export async function planBuild(context: BuilderContext, input: PlanInput<BuildOptions>): Promise<BuildPlan> {
  const { source, options, ignore } = input;
  try {
    const file = await inSlices(parsing(source.text), options.signal);
    const given = givenOptions(context, { file, options });
    requireScans(options, given.file);
    const images = new Map<string, ResolvedImage>();
    const graph = await graphOf(context, { given: { ...given, images }, images, options });
    const image = (name: string, platform?: string) =>
      images.get(imageKey({ name, ...(platform && { platform }) }))?.config;
    const steps = linting({ ...given, ignore, image, stages: graph.stages });
    const findings = await inSlices(steps, options.signal);
    if (findings.length > 0 && configOf(given).error) throw new EngineError("invalid", violation(findings));
    return { graph, findings, images };
  } catch (err) {
    throw quoted(err, source);
  }
}

export function givenOptions(
  { config }: Pick<BuilderContext, "config">,
  {
    file,
    options,
  }: { file: Dockerfile; options: CheckOptions & Partial<Pick<GraphOptions, "labels" | "uncachedStages">> },
): Omit<GraphOptions, "images"> {
  const { platform: buildPlatform } = config;
  return {
    file,
    args: options.args,
    labels: options.labels ?? {},
    ...(options.contexts && { contexts: options.contexts }),
    ...(options.uncachedStages && { uncachedStages: options.uncachedStages }),
    ...(options.target !== undefined && { target: options.target }),
    buildPlatform,
    targetPlatform: options.platform ? parsePlatform(options.platform, buildPlatform) : buildPlatform,
    platformGiven: Boolean(options.platform),
  };
}

interface Graphing {
  readonly given: GraphOptions;
  /** The same as in `given`; grows. */
  readonly images: Map<string, ResolvedImage>;
  readonly options: BuildOptions;
}

async function graphOf(context: BuilderContext, { given, images, options }: Graphing): Promise<BuildGraph> {
  for (;;) {
    const outcome = await inSlices(graphing(given), options.signal);
    if (outcome.kind === "graph") return outcome.graph;
    const found = outcome.images.map(async (needed) => {
      images.set(imageKey(needed), await imageFor(context, { needed, given, options }));
    });
    await Promise.all(found);
  }
}

async function imageFor(
  context: BuilderContext,
  { needed, given, options }: { needed: NeededImage; given: GraphOptions; options: BuildOptions },
): Promise<ResolvedImage> {
  const { signal } = options;
  try {
    return await resolveImage(context, needed, { options, signal });
  } catch (err) {
    signal.throwIfAborted();
    const stages = given.file.stages.flatMap(({ from }) => from.name ?? []);
    throw withLines(err, needed.lines, messageOf(err) + didYouMean(needed.name, [...stages, ...commonImages]));
  }
}
