import { mkdir } from "node:fs/promises";
import { messageOf } from "../errors/mod.ts";
import { resolveUser } from "../rootfs/mod.ts";
import { type Bundle, createFailure, ociSpec } from "../runtime/mod.ts";
import { rootOf } from "../userns/mod.ts";
import { instant } from "./clock.ts";
import type { Context } from "./context.ts";
import { publishing } from "./event.ts";
import { startHealth } from "./health/lifecycle.ts";
import { findInit } from "./init.ts";
import { mountRootfs, specMounts } from "./mounts.ts";
import { connectNetwork, openNetwork } from "./network.ts";
import { pathsOf } from "./paths.ts";
import { resolve } from "./refs.ts";
import { removeLocked } from "./remove.ts";
import { namespacesOf, specInput } from "./spec.ts";
import type { Row } from "./table.ts";
import { takeDown } from "./take-down.ts";
import { transition } from "./transition.ts";
import { settleAll } from "./undo.ts";
import { openUserns } from "./userns.ts";
import { tellVolumes } from "./volume-events.ts";

/** A user's start: earlier retries and stops are forgotten. */
export async function start(ctx: Context, ref: string): Promise<void> {
  const { id } = resolve(ctx.table, ref);
  await ctx.locks.run(id, async () => {
    const row = resolve(ctx.table, id);
    transition(row.phase, "start", row);
    ctx.retries.forget(id);
    await startLocked(ctx, { row, restartCount: 0 });
  });
}

/**
 * Runs the container's process; the caller holds the container's lock. When it fails nothing of the attempt is left but
 * the reason in the row, with the exit code that a shell would give (126, 127, or 128 where no process was tried).
 */
export async function startLocked(ctx: Context, attempt: { row: Row; restartCount: number }): Promise<void> {
  const { row, restartCount } = attempt;
  const phase = transition(row.phase, "start", row);
  try {
    const { pid, started: at } = await launch(ctx, row);
    const clean = { exitCode: 0, error: "", oomKilled: false, stoppedByUser: false, finished: row.finished };
    const patch = { phase, pid, started: at, restartCount, ...clean };
    const started = publishing(ctx, { action: "start" });
    const after = ctx.table.update(row.id, patch, (tx, running) => {
      tx.afterCommit(() => tellVolumes(ctx, row, "mount"));
      started(tx, running);
    });
    ctx.logs.started(row);
    startHealth(ctx, after);
  } catch (err) {
    await failed(ctx, { row, err });
    throw err;
  }
}

interface Launched {
  readonly pid: number;
  /** Before the process's first instruction: who asks for the log since then misses nothing of it. */
  readonly started: string;
}

async function launch(ctx: Context, row: Row): Promise<Launched> {
  ctx.runtime.expect();
  const paths = pathsOf(ctx.config, row.id);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => takeBack(ctx, row));
  const users = await openUserns(ctx, row);
  await settleAll([mountRootfs(ctx, row.id, users?.map), mkdir(paths.bundle, { recursive: true, mode: 0o700 })]);
  const root = ctx.host.rooted(paths.rootfs);
  const user = resolveUser(root, { user: row.config.User, groupAdd: row.hostConfig.GroupAdd ?? [] });
  root.mkdirs(row.config.WorkingDir || "/", { mode: 0o755, ...(users && rootOf(users.map)) });
  const [network, wanted] = await settleAll([openNetwork(ctx, row, users?.path), specMounts(ctx, row, users?.map)]);
  const mounts = users ? await ctx.userns.stage(wanted, { staged: paths.staged, map: users.map }) : wanted;
  const namespaces = { ...namespacesOf(ctx, row), network, ...(users && { user: users.path }) };
  const init = (row.hostConfig.Init ?? ctx.config.defaults?.init) ? { init: findInit() } : {};
  const input = { ...specInput(ctx, row, { user, mounts, namespaces }), ...init, ...(users && { idMap: users.map }) };
  const stdin = !row.config.OpenStdin ? "none" : row.config.StdinOnce ? "once" : "open";
  const bundle: Bundle = {
    id: row.id,
    directory: paths.bundle,
    runtime: input.limits.runtime,
    spec: ociSpec(input),
    terminal: row.config.Tty,
    stdin,
    ...ctx.logs.destination(row),
    ...(input.process.size && { size: input.process.size }),
  };
  const [pid] = await settleAll([prepareTask(ctx, { row, bundle }), connectNetwork(ctx, row)]);
  await ctx.userns.unstage(paths.staged);
  const started = instant();
  await ctx.runtime.start(row.id);
  undo.move();
  return { pid, started };
}

/** After a failure, whose reason is the one to tell. */
async function takeBack(ctx: Context, row: Row): Promise<void> {
  await takeDown(ctx, row).catch((err: unknown) => {
    ctx.log.error("could not take back a container's start", { container: row.id, error: messageOf(err) });
  });
}

/** The process, waiting to be started, and its streams. */
async function prepareTask(ctx: Context, { row, bundle }: { row: Row; bundle: Bundle }): Promise<number> {
  const task = await ctx.runtime.create(bundle);
  const streams = task.streams ?? (needsStreams(ctx, row) ? await ctx.runtime.attach(row.id) : undefined);
  if (streams) ctx.hubs.open(row.id).bind(streams);
  return task.pid;
}

/** With an open stdin the connection must be there from the start: conmon closes stdin when its last client leaves. */
function needsStreams(ctx: Context, row: Row): boolean {
  return row.config.OpenStdin || ctx.hubs.get(row.id) !== undefined;
}

async function failed(ctx: Context, { row, err }: { row: Row; err: unknown }): Promise<void> {
  const exitCode = createFailure(err)?.exitCode ?? 128;
  const phase = row.phase === "restarting" ? "exited" : row.phase;
  const after = ctx.table.update(row.id, { phase, pid: 0, exitCode, error: messageOf(err) });
  ctx.hubs.get(row.id)?.close();
  ctx.waiters.tell(row.id, { kind: "exit", code: exitCode });
  if (row.hostConfig.AutoRemove) await removeLocked(ctx, { row: after, volumes: true });
}
