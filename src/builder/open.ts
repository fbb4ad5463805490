import { mkdir, readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Flight, KeyedLock, Semaphore } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { removeTree } from "../host/mod.ts";
import { CacheBudget } from "./budget.ts";
import { buildEach } from "./build.ts";
import type { Builder } from "./builder.ts";
import { BuildCache } from "./cache.ts";
import { describe } from "./check.ts";
import type { BuilderContext, BuilderOptions, Solved } from "./context.ts";
import { StepMemory } from "./explain/memory.ts";
import { failurePlace } from "./failure-place.ts";
import { imageFiles } from "./image-files.ts";
import { KeptContexts } from "./kept/kept-contexts.ts";
import { PackedLayers } from "./packed-layers.ts";
import { pruneCache } from "./prune.ts";
import { Recent } from "./recent.ts";
import { activePrefix, stepsDirectory } from "./root.ts";
import { builderRoots } from "./table.ts";
import { cacheUsage } from "./usage.ts";

/** Opens the builder, removing what builds of an earlier daemon left unfinished, and registers what its cache keeps. */
export async function openBuilder(options: BuilderOptions): Promise<Builder> {
  const packedLayers = new PackedLayers(options);
  const context: BuilderContext = {
    ...options,
    packedLayers,
    memory: new StepMemory(options.db, options.host.workers),
    cache: new BuildCache(options.db, packedLayers),
    flight: new Flight<Solved>(),
    slots: new Semaphore(Math.max(4, 2 * availableParallelism())),
    selections: new Recent(200),
    inUse: new Set(),
    mountLocks: new KeyedLock(),
  };
  options.collector.register("builder", builderRoots);
  await sweep(context);
  const { db, host, config } = options;
  const contexts = new KeptContexts({ db, workers: host.workers, directory: config.directory });
  const all = (most: number) => pruneCache(context, { filter: new Map(), all: true, most, contexts });
  const budget = new CacheBudget({ most: config.cacheSize, log: options.log, prune: all });
  const builds: Builder["buildEach"] = (files, each) => buildEach(context, files, each).finally(() => budget.check());
  return {
    contexts,
    build: async (files, buildOptions) => only(await builds(files, [buildOptions])),
    buildEach: builds,
    check: async (files, checkOptions) => (await describe(context, files, checkOptions)).check,
    describe: (files, checkOptions) => describe(context, files, checkOptions),
    failurePlace,
    files: (image, signal) => imageFiles(context, image, signal),
    usage: () => cacheUsage(context),
    prune: (filter, pruneOptions) => pruneCache(context, { ...pruneOptions, filter, contexts }),
  };
}

function only<T>([one]: readonly T[]): T {
  if (one === undefined) throw new EngineError("internal", "a build without an image");
  return one;
}

/** Mounts first, deepest first: what is below a mount point belongs to somebody else. */
async function sweep(context: BuilderContext): Promise<void> {
  const { host, snapshots, config } = context;
  const work = join(config.directory, "work");
  for (const name of ["work", "mounts", "contexts", "kept"]) {
    await mkdir(join(config.directory, name), { recursive: true, mode: 0o700 });
  }
  const steps = stepsDirectory(context);
  await mkdir(steps, { recursive: true, mode: 0o700 });
  const targets = host.mounts.list().map(({ target }) => target);
  const ours = targets.filter((target) => target.startsWith(`${work}/`) || target.startsWith(`${steps}/`));
  for (const target of ours.reverse()) host.mounts.unmount(target, "detach");
  for (const directory of [work, steps, join(config.directory, "contexts")]) {
    for (const name of await readdir(directory)) await host.workers.run(removeTree, { path: join(directory, name) });
  }
  for (const { name, state } of [...snapshots.list()]) {
    if (state === "active" && name.startsWith(activePrefix)) await snapshots.remove(name);
  }
}
