import { existsSync } from "node:fs";
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../errors/mod.ts";
import type { RecoveredTask } from "../runtime/mod.ts";
import { bindLate } from "./attach.ts";
import { instant } from "./clock.ts";
import type { Context } from "./context.ts";
import { discard } from "./create.ts";
import { exitedLocked, scheduleRetry } from "./exited.ts";
import { adoptHealth } from "./health/lifecycle.ts";
import { linksOf } from "./links/links.ts";
import { unmountSources, volumeUsers } from "./mounts/sources.ts";
import { removeLocked } from "./remove.ts";
import { shouldStartWithDaemon } from "./retry.ts";
import { startLocked } from "./start.ts";
import type { Row } from "./table.ts";
import { takeDown } from "./take-down.ts";
import { isLive } from "./transition.ts";

/** What Docker says of a process whose end nobody saw. */
const unknownCode = 255;

/**
 * After the daemon's start: adopts what runs, collects the ends that nobody saw, undoes what was half done (creations,
 * starts, removals), clears away what no row knows, and starts what its policy wants running. One container that cannot be
 * recovered does not keep the others from it.
 */
export async function recover(ctx: Context): Promise<void> {
  const tasks = new Map((await ctx.runtime.recover()).map((task) => [task.id, task]));
  const rows = [...ctx.table.all()];
  const known = new Set(rows.map((row) => row.id));
  const live = rows.filter((row) => row.phase !== "removing" && row.phase !== "creating" && runs(tasks.get(row.id)));
  const living = new Set(live.map((row) => row.id));
  await ctx.networks.recover(living);
  ctx.userns.recover(living);
  await ctx.volumes.recoverMounts(volumeUsers(live));
  for (const row of rows) await attempt(ctx, { id: row.id, body: () => settle(ctx, { row, task: tasks.get(row.id) }) });
  for (const task of tasks.values())
    if (!known.has(task.id)) await attempt(ctx, { id: task.id, body: () => drop(ctx, task) });
  await sweep(ctx);
  void ctx.logs.recover([...ctx.table.all()]);
  startAll(ctx);
}

/** What its policy wants running, at once, but for links: they lead to older containers, which must run before. */
function startAll(ctx: Context): void {
  const starts = new Map<string, Promise<void>>();
  for (const row of [...ctx.table.all()]) {
    if (row.phase !== "exited" || !shouldStartWithDaemon(row)) continue;
    const before = linksOf(row).map(({ id }) => starts.get(id));
    const body = async () => {
      await Promise.all(before);
      await ctx.locks.run(row.id, () => startAgain(ctx, row.id));
    };
    starts.set(row.id, attempt(ctx, { id: row.id, body }));
  }
}

function runs(task: RecoveredTask | undefined): boolean {
  return task?.state === "running" || task?.state === "paused";
}

async function attempt(ctx: Context, { id, body }: { id: string; body: () => Promise<void> }): Promise<void> {
  try {
    await body();
  } catch (err) {
    ctx.log.error("could not recover a container", { container: id, error: messageOf(err) });
  }
}

async function settle(ctx: Context, { row, task }: { row: Row; task: RecoveredTask | undefined }): Promise<void> {
  await ctx.locks.run(row.id, async () => {
    if (row.phase === "creating") return undo(ctx, row);
    if (row.phase === "removing") return finishRemoval(ctx, row);
    if (task && runs(task)) return adopt(ctx, { row, task });
    if (isLive(row.phase)) return bury(ctx, { row, task });
    if (task) await takeDown(ctx, row); // a start that got as far as the runtime
    if (row.phase === "restarting") scheduleRetry(ctx, row);
    else if (row.hostConfig.AutoRemove && row.phase !== "dead") await removeLocked(ctx, { row, volumes: true });
  });
}

/** What has no row is an exec, of which one that runs on is heard when it ends; or what was left of a container. */
async function drop(ctx: Context, { id, kind, state }: RecoveredTask): Promise<void> {
  if (kind === "container") await ctx.runtime.delete(id);
  else if (state === "exited") await ctx.runtime.deleteExec(id);
}

async function undo(ctx: Context, row: Row): Promise<void> {
  await discard(ctx, row);
  ctx.table.delete(row.id);
}

async function finishRemoval(ctx: Context, row: Row): Promise<void> {
  await takeDown(ctx, row);
  await removeLocked(ctx, { row, volumes: row.hostConfig.AutoRemove });
}

/**
 * It ran while the daemon did not. One that was started in the instant of the crash gets its row now. What is frozen without
 * a user's word for it (by a commit that was cut off) is thawed.
 */
async function adopt(ctx: Context, { row, task }: { row: Row; task: RecoveredTask }): Promise<void> {
  const phase = task.state === "paused" && row.phase === "paused" ? "paused" : "running";
  if (task.state === "paused" && phase === "running") await ctx.runtime.freeze(row.id, false);
  if (row.phase !== phase || row.pid !== task.pid) {
    const started = isLive(row.phase) ? row.started : instant();
    ctx.table.update(row.id, { phase, pid: task.pid, started, exitCode: 0, error: "" });
  }
  ctx.logs.started(row);
  adoptHealth(ctx, ctx.table.get(row.id) ?? row);
  if (row.config.OpenStdin) void attempt(ctx, { id: row.id, body: () => bindLate(ctx, row.id) });
}

async function bury(ctx: Context, { row, task }: { row: Row; task: RecoveredTask | undefined }): Promise<void> {
  const unseen = {
    id: row.id,
    kind: "container",
    code: unknownCode,
    oomKilled: false,
    at: Date.now(),
    pid: row.pid,
  } as const;
  await exitedLocked(ctx, { row, exit: task?.exit ?? unseen });
}

async function startAgain(ctx: Context, id: string): Promise<void> {
  const row = ctx.table.get(id);
  if (row?.phase === "exited") await startLocked(ctx, { row, restartCount: row.restartCount });
}

/** Mounts and directories of containers that are not there or do not run. */
async function sweep(ctx: Context): Promise<void> {
  const { directory, execRoot } = ctx.config;
  const running = (id: string) => {
    const row = ctx.table.get(id);
    return row !== undefined && isLive(row.phase);
  };
  for (const kind of ["rootfs", "shm"]) {
    for (const id of await idsIn(join(execRoot, kind))) {
      if (!running(id)) await attempt(ctx, { id, body: () => removeMount(ctx, join(execRoot, kind, id)) });
    }
  }
  for (const id of await idsIn(join(execRoot, "staged"))) {
    await attempt(ctx, { id, body: () => ctx.userns.unstage(join(execRoot, "staged", id)) });
  }
  for (const id of await idsIn(join(execRoot, "sources"))) {
    if (!running(id)) await attempt(ctx, { id, body: () => unmountSources(ctx, join(execRoot, "sources", id)) });
  }
  for (const kind of ["bundles", "execs"]) {
    for (const id of await idsIn(join(execRoot, kind))) {
      if (!running(id)) await rm(join(execRoot, kind, id), { recursive: true, force: true });
    }
  }
  for (const id of await idsIn(directory)) {
    if (!ctx.table.get(id)) await rm(join(directory, id), { recursive: true, force: true });
  }
}

async function removeMount(ctx: Context, target: string): Promise<void> {
  ctx.host.mounts.unmount(target, "detach");
  await rmdir(target);
}

/** Only what can be ours: directories named like an id. */
async function idsIn(directory: string): Promise<string[]> {
  if (!existsSync(directory)) return [];
  return (await readdir(directory)).filter((name) => /^[0-9a-f]{64}$/.test(name));
}
