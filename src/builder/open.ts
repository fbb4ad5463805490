import { mkdir, readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Flight, KeyedLock, Semaphore } from "../async/mod.ts";
import { removeTree } from "../host/mod.ts";
import { build } from "./build.ts";
import type { Builder } from "./builder.ts";
import { BuildCache } from "./cache.ts";
import { check } from "./check.ts";
import type { BuilderContext, BuilderOptions, Solved } from "./context.ts";
import { pruneCache } from "./prune.ts";
import { activePrefix, stepsDirectory } from "./root.ts";
import { builderRoots } from "./table.ts";
import { cacheUsage } from "./usage.ts";

/** Opens the builder, removing what builds of an earlier daemon left unfinished, and registers what its cache keeps. */
export async function openBuilder(options: BuilderOptions): Promise<Builder> {
  const context: BuilderContext = {
    ...options,
    cache: new BuildCache(options.db, options.snapshots),
    flight: new Flight<Solved>(),
    slots: new Semaphore(Math.max(4, 2 * availableParallelism())),
    mountLocks: new KeyedLock(),
  };
  options.collector.register("builder", builderRoots);
  await sweep(context);
  return {
    build: (files, buildOptions) => build(context, files, buildOptions),
    check: (files, checkOptions) => check(context, files, checkOptions),
    usage: () => cacheUsage(context),
    prune: (filter, all) => pruneCache(context, { filter, all }),
  };
}

/** Mounts first, deepest first: what is below a mount point belongs to somebody else. */
async function sweep(context: BuilderContext): Promise<void> {
  const { host, snapshots, config } = context;
  const work = join(config.directory, "work");
  for (const name of ["work", "mounts", "contexts"]) {
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
