import { mkdir } from "node:fs/promises";
import { aborted, after, KeyedLock } from "../async/mod.ts";
import { messageOf } from "../errors/mod.ts";
import type { ImageUser } from "../images/mod.ts";
import type { Exit } from "../runtime/mod.ts";
import { attach } from "./attach.ts";
import { changes } from "./changes.ts";
import { commit } from "./commit.ts";
import type { Containers } from "./containers.ts";
import type { Context, Parts } from "./context.ts";
import { create } from "./create.ts";
import { createExec } from "./exec/create.ts";
import { inspectExec } from "./exec/inspect.ts";
import { execExited, startExec } from "./exec/start.ts";
import { ExecTable } from "./exec/table.ts";
import { exited } from "./exited.ts";
import { readFrom, statIn, writeTo } from "./files/archive.ts";
import { exportRootfs } from "./files/export.ts";
import { Healths } from "./health/healths.ts";
import { Hubs } from "./hub.ts";
import { inspect } from "./inspect.ts";
import { kill } from "./kill.ts";
import { list } from "./list.ts";
import { ContainerLogs } from "./logs/container-logs.ts";
import { logs } from "./logs/logs.ts";
import { checkLogDefaults } from "./logs/options.ts";
import { connectNetworkTo, disconnectNetworkFrom } from "./memberships.ts";
import { setPaused } from "./pause.ts";
import { publishPorts, unpublishPort } from "./ports.ts";
import { prune } from "./prune.ts";
import { recover } from "./recover.ts";
import { remove } from "./remove.ts";
import { rename } from "./rename.ts";
import { resize, resizeExec } from "./resize.ts";
import { update } from "./resources/update.ts";
import { Retries } from "./retry.ts";
import { start } from "./start.ts";
import { sampleOf } from "./stats/sample.ts";
import { Sampler } from "./stats/sampler.ts";
import { followStats, stats } from "./stats/stats.ts";
import { restart, stop } from "./stop.ts";
import { ContainerTable, containerRoots } from "./table.ts";
import { top } from "./top.ts";
import { isLive } from "./transition.ts";
import { exportVolume, importVolume } from "./volumes/files.ts";
import { renameVolume } from "./volumes/rename.ts";
import { wait } from "./wait/wait.ts";
import { Waiters } from "./wait/waiters.ts";

export interface OpenedContainers extends Containers {
  /** Once, before anything else is asked: see recover.ts. Exits are heard from then on. */
  recover(): Promise<void>;
  /** Which containers use an image. */
  users(imageId: string): ImageUser[];
  /** The daemon goes; containers go on running. */
  shutdown(): Promise<void>;
}

/** Containers over their rows (`containersMigrations`) and files; nothing runs or is touched until `recover`. */
export async function openContainers(parts: Parts): Promise<OpenedContainers> {
  checkLogDefaults(parts.config);
  await mkdir(parts.config.directory, { recursive: true, mode: 0o710 });
  await mkdir(parts.config.execRoot, { recursive: true, mode: 0o711 });
  const closing = new AbortController();
  const ctx: Context = {
    ...parts,
    table: new ContainerTable(parts.db),
    locks: new KeyedLock(),
    hubs: new Hubs(),
    waiters: new Waiters(),
    retries: new Retries(parts.config.firstRetryDelay ?? 100),
    execs: new ExecTable(),
    sampler: new Sampler((id) => sampleOf(ctx, id)),
    logs: new ContainerLogs({ ...parts, workers: parts.host.workers }),
    health: new Healths(parts.db),
    closing: closing.signal,
  };
  const users = (imageId: string) => usersOf(ctx, imageId);
  parts.images.onUse(users);
  parts.collector.register("containers", containerRoots);
  return {
    ...operations(ctx),
    users,
    recover: async () => {
      await recover(ctx);
      void hearExits(ctx);
    },
    shutdown: async () => {
      closing.abort();
      ctx.retries.stopAll();
      await ctx.logs.shutdown();
      await ctx.health.stopAll();
    },
  };
}

function operations(ctx: Context): Containers {
  return {
    create: (request) => create(ctx, request),
    start: (ref) => start(ctx, ref),
    stop: (ref, options) => stop(ctx, ref, options),
    restart: (ref, options) => restart(ctx, ref, options),
    kill: (ref, signal) => kill(ctx, ref, signal),
    pause: (ref) => setPaused(ctx, ref, true),
    unpause: (ref) => setPaused(ctx, ref, false),
    rename: (ref, name) => rename(ctx, ref, name),
    update: (ref, body) => update(ctx, ref, body),
    remove: (ref, options) => remove(ctx, ref, options),
    wait: (ref, until, signal) => wait(ctx, ref, { until, signal }),
    prune: (filter) => prune(ctx, filter),
    connect: (network, body) => connectNetworkTo(ctx, network, body),
    disconnect: (network, body) => disconnectNetworkFrom(ctx, network, body),
    publishPorts: (ref, ports) => publishPorts(ctx, ref, ports),
    unpublishPort: (ref, wanted) => unpublishPort(ctx, ref, wanted),
    createExec: async (ref, body) => createExec(ctx, ref, body),
    startExec: (execId, body, connect) => startExec(ctx, execId, { body, ...(connect && { connect }) }),
    inspectExec: (execId) => inspectExec(ctx, execId),
    resizeExec: (execId, size) => resizeExec(ctx, execId, size),
    changes: (ref) => changes(ctx, ref),
    commit: (ref, options) => commit(ctx, ref, options),
    export: (ref, signal) => exportRootfs(ctx, ref, signal),
    renameVolume: (from, to) => renameVolume(ctx, from, to),
    exportVolume: (name, options) => exportVolume(ctx, name, options),
    importVolume: (name, options) => importVolume(ctx, name, options),
    statPath: (ref, path, signal) => statIn(ctx, { ref, path, signal }),
    readPath: (ref, path, signal) => readFrom(ctx, { ref, path, signal }),
    writePath: (ref, path, options) => writeTo(ctx, { ref, path, signal: options.signal }, options),
    list: (options) => list(ctx, options),
    inspect: (ref, size) => inspect(ctx, ref, size),
    logs: (ref, options) => logs(ctx, ref, options),
    attach: (ref, options) => attach(ctx, ref, options),
    resize: (ref, size) => resize(ctx, ref, size),
    top: (ref, psArgs) => top(ctx, ref, psArgs),
    stats: (ref, options) => stats(ctx, ref, options),
    followStats: (ref, signal) => followStats(ctx, ref, signal),
  };
}

/** Each container's exit waits for that container's lock only. */
async function hearExits(ctx: Context): Promise<void> {
  for await (const exit of ctx.runtime.exits(ctx.closing)) {
    void dealWith(ctx, exit);
  }
}

/** Milliseconds before the second attempt, and between later ones at most. */
const [firstPause, longestPause] = [500, 30_000];

/** Until it is done: what keeps it from being written down, such as a full disk, passes. What was done is passed over. Never throws. */
async function dealWith(ctx: Context, exit: Exit): Promise<void> {
  for (let pause = firstPause; !ctx.closing.aborted; pause = Math.min(pause * 2, longestPause)) {
    try {
      return await (exit.kind === "exec" ? execExited(ctx, exit) : exited(ctx, exit));
    } catch (err) {
      const fields = { [exit.kind]: exit.id, error: messageOf(err), again: `in ${pause} ms` };
      ctx.log.error("could not deal with an exit", fields);
    }
    await Promise.race([after(pause), aborted(ctx.closing)]);
  }
}

function usersOf(ctx: Context, imageId: string): ImageUser[] {
  const found: ImageUser[] = [];
  for (const row of ctx.table.all()) {
    const mounted = row.mounts.some((entry) => entry.imageId === imageId);
    if (row.imageId === imageId || mounted) found.push({ containerId: row.id, running: isLive(row.phase) });
  }
  return found;
}
