import { randomBytes } from "node:crypto";
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { removeTree } from "../host/mod.ts";
import type { Image } from "../images/mod.ts";
import { chainIds, familiar, parseReference, type Reference, withDefaultTag } from "../oci/mod.ts";
import { requireExtraHosts } from "../rootfs/mod.ts";
import { attest, scanArguments } from "./attest/attest.ts";
import type { BuildContext, BuildOptions } from "./builder.ts";
import type { CacheContents } from "./cache-transfer/collect.ts";
import { exportCaches } from "./cache-transfer/export.ts";
import { requireCaches } from "./cache-transfer/options.ts";
import { warningsOf } from "./check.ts";
import type { Build, BuilderContext } from "./context.ts";
import { ContextFiles } from "./context-files.ts";
import type { Lines } from "./dockerfile/error.ts";
import { quoteLines, type Source } from "./dockerfile/quote.ts";
import { exportImage } from "./export.ts";
import { type FailedStep, failedImage } from "./failed-image.ts";
import { placed } from "./failure-place.ts";
import { keepGitDirArgument } from "./git/ref.ts";
import type { BuildGraph } from "./graph/graph.ts";
import type { Vertex } from "./graph/vertex.ts";
import { type Finding, summary } from "./lint/findings.ts";
import { StepFailure } from "./ops/failure.ts";
import { planBuild } from "./plan.ts";
import { StepOutput } from "./progress.ts";
import { Solver } from "./solve.ts";
import { RootViews } from "./views.ts";

/** See `Builder.buildEach`. The context's files are deleted whatever comes of it. */
export async function buildEach(
  context: BuilderContext,
  files: BuildContext,
  each: readonly BuildOptions[],
): Promise<Image[]> {
  await using contextFiles = new ContextFiles(context.host.workers, files);
  return await context.leases.hold(async () => {
    const images: Image[] = [];
    const contents: CacheContents[] = [];
    for (const options of each) images.push(await build(context, { files: contextFiles, options, contents }));
    return images;
  });
}

async function build(context: BuilderContext, request: Omit<Request, "directory">): Promise<Image> {
  const directory = join(context.config.directory, "work", `b${randomBytes(12).toString("hex")}`);
  await using undo = new AsyncDisposableStack();
  // Most builds leave nothing in it, and then no worker need look.
  undo.defer(() => rmdir(directory).catch(() => context.host.workers.run(removeTree, { path: directory })));
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return await inLease(context, { ...request, directory });
}

interface Request {
  readonly files: ContextFiles;
  readonly options: BuildOptions;
  readonly contents: CacheContents[];
  readonly directory: string;
}

async function inLease(context: BuilderContext, { files, options, contents, directory }: Request): Promise<Image> {
  const tags = options.tags.map(tagOf);
  requireCaches(options);
  requireExtraHosts(options.extraHosts);
  const source = await files.source();
  const started = Date.now();
  const { graph, findings, images } = await planBuild(context, { source, ignore: files.ignore, options });
  if (findings.length > 0) options.observer?.warned?.(warningsOf(findings), source);
  const sink = options.quiet || options.steps ? () => undefined : options.progress;
  const quote = (lines: Lines) => quoteLines(source, lines);
  const output = new StepOutput(graph.steps, { sink, quote, ...(options.observer && { observer: options.observer }) });
  await using views = new RootViews(context, { directory: join(directory, "views"), signal: options.signal });
  const running: Build = {
    ...{ context, files, options, output, views, directory, signal: options.signal },
    materials: [],
    ...epochOf(options, graph),
  };
  const { sbom, provenance } = options.attest;
  const known = sbom || provenance ? context.images.ids() : undefined;
  const made = async (image: Image) => {
    try {
      await attest(running, { image, graph, images, source, tags, started });
    } catch (err) {
      if (known?.has(image.id) === false) await context.images.discard(image);
      throw err;
    }
    const { id, run } = image;
    context.events.publish({ type: "image", action: "create", id, attributes: { ...run.Labels, name: id } });
    for (const tag of tags) context.images.tag(image, tag);
  };
  const image = await solveAndExport(running, { graph, source, made, contents });
  announce(image, { options, graph, tags, findings });
  return image;
}

interface Solving {
  readonly graph: BuildGraph;
  readonly source: Source;
  /** Told of the image before the cache is written, which may fail. */
  readonly made: (image: Image) => Promise<void>;
  /** Of the caches that are written. */
  readonly contents: CacheContents[];
}

async function solveAndExport(running: Build, { graph, source, made, contents }: Solving): Promise<Image> {
  const allowed = allowedSnapshots(running);
  const solver = new Solver(running, {
    inner: innerVertices(graph),
    texts: textsOf(graph),
    ...(allowed && { allowed }),
  });
  const { result } = graph;
  try {
    running.output.advance();
    await solver.all(
      graph.steps.map(({ vertex }) => vertex),
      result.vertex,
    );
    const image = await exportImage(running, { result, solver });
    await made(image);
    await exportCaches(running, { graph, solver, chains: solver.chains, contents });
    return image;
  } catch (err) {
    if (err instanceof StepFailure) {
      if (err.kept) await tellKept(running, { kept: err.kept, solver });
      tellCode(err, running.options);
    }
    const failed = solver.failed && placed(err, source, linesOfStep(graph, solver.failed));
    throw failed ?? err;
  } finally {
    await solver.settled();
  }
}

/** Those that others stand on or read from. */
function innerVertices({ steps }: BuildGraph): ReadonlySet<Vertex> {
  const inner = new Set<Vertex>();
  for (const { vertex } of steps) for (const one of [vertex?.base, ...(vertex?.inputs ?? [])]) if (one) inner.add(one);
  return inner;
}

function textsOf({ steps }: BuildGraph): ReadonlyMap<Vertex, string> {
  return new Map(steps.flatMap(({ vertex, runs, text }) => (vertex && runs ? [[vertex, text] as const] : [])));
}

/** An image of what a failed step left, without a name: whoever asked for it removes it. */
async function tellKept(running: Build, failed: FailedStep): Promise<void> {
  const { id, run } = await failedImage(running, failed);
  running.options.progress({ aux: { Failed: { Image: id, Shell: run.Cmd?.[0] ?? "/bin/sh" } } });
}

/** The client exits with the code of the step, which only the stream can carry. */
function tellCode({ code, message }: StepFailure, { progress }: BuildOptions): void {
  progress({ error: message, errorDetail: { code, message } });
}

/** Of the instruction that the vertex is the step of. */
function linesOfStep({ steps }: BuildGraph, failed: Vertex): Lines | undefined {
  const own = steps.filter(({ vertex }) => vertex === failed);
  return (own.find(({ runs }) => runs) ?? own[0])?.lines;
}

/**
 * Of the build argument (reproducible-builds.org, "SOURCE_DATE_EPOCH"), or of the ARG of that name in front of the first FROM, as in
 * BuildKit from 2026 on. Throws "invalid", and "not-implemented" for the time of the context.
 */
function epochOf({ args }: BuildOptions, { globals }: BuildGraph): Pick<Build, "epoch"> {
  const text = args[epochArgument] ?? globals.get(epochArgument) ?? "";
  if (text === "") return {};
  if (text === "context") {
    const instead = "give a number of seconds since 1970";
    throw new EngineError("not-implemented", `${epochArgument}=context is not implemented by Berth: ${instead}`);
  }
  if (/^\d{1,11}$/.test(text)) return { epoch: Number(text) };
  throw new EngineError(
    "invalid",
    `invalid ${epochArgument}: ${JSON.stringify(text)} is no number of seconds since 1970`,
  );
}

const epochArgument = "SOURCE_DATE_EPOCH";

function tagOf(text: string): Reference {
  const ref = parseReference(text);
  if (ref.digest) throw new EngineError("invalid", "refusing to create a tag with a digest reference");
  return withDefaultTag(ref);
}

/** With --cache-from, only what is part of those images may come from the cache; names that are not here are no error (docker build, `--cache-from`). */
function allowedSnapshots({ context, options }: Build): ReadonlySet<string> | undefined {
  if (options.cacheFrom.length === 0) return undefined;
  const allowed = new Set<string>();
  for (const name of options.cacheFrom) {
    const image = context.images.find(name);
    for (const { digest } of image ? context.images.layers(image) : []) {
      for (const packed of context.packedLayers.named(digest)) allowed.add(packed);
    }
    for (const chain of image ? chainIds(image.config.rootfs.diff_ids) : []) {
      let snapshot = context.layers.chain(chain);
      while (snapshot !== undefined && !allowed.has(snapshot)) {
        allowed.add(snapshot);
        snapshot = context.snapshots.info(snapshot)?.parent;
      }
    }
  }
  return allowed;
}

interface Finished {
  readonly options: BuildOptions;
  readonly graph: BuildGraph;
  readonly tags: readonly Reference[];
  readonly findings: readonly Finding[];
}

/** Arguments that no instruction need consume. */
const usedElsewhere: ReadonlySet<string> = new Set([
  ...[epochArgument, keepGitDirArgument, "BUILDKIT_INLINE_CACHE"],
  ...scanArguments,
]);

/** The last lines, which clients read the image's id from. */
function announce(image: Image, { options, graph, tags, findings }: Finished): void {
  const { progress } = options;
  if (options.quiet) {
    progress({ stream: `${image.id}\n` });
    return;
  }
  const unused = graph.unusedArgs.filter((name) => !usedElsewhere.has(name));
  if (unused.length > 0) {
    progress({ stream: `[Warning] One or more build-args [${unused.join(" ")}] were not consumed\n` });
  }
  if (findings.length > 0) progress({ stream: summary(findings) });
  progress({ aux: { ID: image.id } });
  progress({ stream: `Successfully built ${image.id.slice("sha256:".length, "sha256:".length + 12)}\n` });
  for (const tag of tags) progress({ stream: `Successfully tagged ${familiar(tag)}\n` });
}
