import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { removeTree } from "../host/mod.ts";
import type { Image } from "../images/mod.ts";
import { familiar, parseReference, type Reference, withDefaultTag } from "../oci/mod.ts";
import { requireExtraHosts } from "../rootfs/mod.ts";
import type { BuildContext, BuildOptions } from "./builder.ts";
import type { Build, BuilderContext } from "./context.ts";
import { quoteLines } from "./dockerfile/quote.ts";
import { exportImage } from "./export.ts";
import type { BuildGraph } from "./graph/graph.ts";
import { type Finding, summary } from "./lint/findings.ts";
import { StepFailure } from "./ops/failure.ts";
import { dockerfileOf, planBuild } from "./plan.ts";
import { StepOutput } from "./progress.ts";
import { Solver } from "./solve.ts";
import { RootViews } from "./views.ts";

/** See `Builder.build`. The context's files are deleted whatever comes of it. */
export async function build(context: BuilderContext, files: BuildContext, options: BuildOptions): Promise<Image> {
  const directory = join(context.config.directory, "work", `b${randomBytes(12).toString("hex")}`);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => context.host.workers.run(removeTree, { path: files.directory }));
  undo.defer(() => context.host.workers.run(removeTree, { path: directory }));
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return await context.leases.hold(() => inLease(context, { files, options, directory }));
}

interface Request {
  readonly files: BuildContext;
  readonly options: BuildOptions;
  readonly directory: string;
}

async function inLease(context: BuilderContext, { files, options, directory }: Request): Promise<Image> {
  const tags = options.tags.map(tagOf);
  requireExtraHosts(options.extraHosts);
  const source = await dockerfileOf(files);
  const { graph, findings } = await planBuild(context, { source, ignore: files.ignore ?? [], options });
  const progress = options.quiet ? () => undefined : options.progress;
  const output = new StepOutput(graph.steps, { sink: progress, quote: (lines) => quoteLines(source, lines) });
  await using views = new RootViews(context, join(directory, "views"));
  const running: Build = { context, files, options, output, views, directory, signal: options.signal };
  const image = await solveAndExport(running, graph);
  const attributes = { ...image.run.Labels, name: image.id };
  context.events.publish({ type: "image", action: "create", id: image.id, attributes });
  for (const tag of tags) context.images.tag(image, tag);
  announce(image, { options, graph, tags, findings });
  return image;
}

async function solveAndExport(running: Build, graph: BuildGraph): Promise<Image> {
  const solver = new Solver(running, await allowedSnapshots(running));
  const { result } = graph;
  try {
    running.output.advance();
    await Promise.all(graph.steps.map(({ vertex }) => vertex && solver.solve(vertex)));
    return await exportImage(running, { result, solver });
  } catch (err) {
    throw toldWithCode(err, running.options);
  } finally {
    await solver.settled();
  }
}

/** The client exits with the code of the step, which only the stream can carry. */
function toldWithCode(err: unknown, { progress }: BuildOptions): unknown {
  if (err instanceof StepFailure) {
    progress({ error: err.message, errorDetail: { code: err.code, message: err.message } });
  }
  return err;
}

function tagOf(text: string): Reference {
  const ref = parseReference(text);
  if (ref.digest) throw new EngineError("invalid", "refusing to create a tag with a digest reference");
  return withDefaultTag(ref);
}

/** With --cache-from, only what is part of those images may come from the cache; names that are not here are no error (docker build, `--cache-from`). */
async function allowedSnapshots({ context, options }: Build): Promise<ReadonlySet<string> | undefined> {
  if (options.cacheFrom.length === 0) return undefined;
  const allowed = new Set<string>();
  for (const name of options.cacheFrom) {
    const image = context.images.find(name);
    let snapshot = image && (await context.images.rootfs(image));
    while (snapshot !== undefined && !allowed.has(snapshot)) {
      allowed.add(snapshot);
      snapshot = context.snapshots.info(snapshot)?.parent;
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

/** The last lines, which clients read the image's id from. */
function announce(image: Image, { options, graph, tags, findings }: Finished): void {
  const { progress } = options;
  if (options.quiet) {
    progress({ stream: `${image.id}\n` });
    return;
  }
  if (graph.unusedArgs.length > 0) {
    progress({ stream: `[Warning] One or more build-args [${graph.unusedArgs.join(" ")}] were not consumed\n` });
  }
  if (findings.length > 0) progress({ stream: summary(findings) });
  progress({ aux: { ID: image.id } });
  progress({ stream: `Successfully built ${image.id.slice("sha256:".length, "sha256:".length + 12)}\n` });
  for (const tag of tags) progress({ stream: `Successfully tagged ${familiar(tag)}\n` });
}
