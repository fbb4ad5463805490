import { existsSync } from "node:fs";
import { join } from "node:path";
import { isInside, killInside } from "./exec/kill.ts";
import { readExit } from "./exits.ts";
import type { Parts } from "./parts.ts";
import type { Exit } from "./runtime.ts";
import type { LiveTask, TaskRecord } from "./tasks.ts";

/** What SIGKILL leaves: for tasks whose monitor was killed, which are killed with it. */
const killedCode = 137;
/** The exit is gone without a trace, as after a reboot: what moby says for one that it lost. */
export const lostCode = 255;

/** How a task ended, and when (milliseconds since 1970). */
export interface Known {
  readonly code: number;
  readonly at: number;
}

/**
 * Follows a task to its end, which is its monitor's end: conmon writes the exit file after it has passed on all output.
 * It needs no inotify and no polling for a monitor that is our child. An exec's own crun says the code itself.
 */
export function follow(parts: Parts, task: LiveTask, ended: Promise<Known | undefined>): void {
  task.settled = ended
    .then((known) => settle(parts, task, known))
    .catch((err) => parts.log.error("Cannot tell how a task ended", { task: task.record.id, error: err }));
}

async function settle(parts: Parts, task: LiveTask, told: Known | undefined): Promise<void> {
  const { record } = task;
  if (parts.tasks.find(record.id) !== task) return;
  const known = told ?? readExit(parts.paths, record) ?? (await lostMonitor(parts, task));
  task.exit = exitOf(parts, task, known);
  parts.exits.tell(task.exit);
}

/** An exit file's content as the exit that is told. */
export function exitOf(parts: Parts, { record, pid }: LiveTask, known: Known): Exit {
  const { id, kind, directory, cgroup } = record;
  // conmon's file comes from the kernel's notice, which may lose the race against the exit; the counter does not.
  const oom = existsSync(join(directory, "oom")) || (cgroup !== undefined && parts.host.cgroups.oomKilled(cgroup));
  return { id, kind, code: known.code, oomKilled: kind === "container" && oom, at: known.at, pid };
}

/**
 * Without its monitor a container has no output and nobody who learns its exit code: it is ended, and said to be killed. So is
 * an exec; one that has ended, as those of an earlier daemon do (whose crun was its child), has a code that nobody knows.
 */
async function lostMonitor(parts: Parts, task: LiveTask): Promise<Known> {
  const { record, pid } = task;
  const inside = { containerId: record.containerId, pid };
  if (record.kind === "exec" && !isInside(parts, inside)) return { code: lostCode, at: Date.now() };
  parts.log.warn("A task's monitor has died: its processes are killed", { task: record.id, kind: record.kind });
  await (record.kind === "container" ? killContainer(parts, record) : killInside(parts, inside, "process"));
  await parts.host.processes.ended(pid);
  return { code: killedCode, at: Date.now() };
}

/** SIGKILL for all its processes; a paused container dies once it is thawed (crun leaves it frozen). */
export async function killContainer(parts: Parts, { id, runtime }: TaskRecord): Promise<void> {
  const { cli } = parts.runtimes.get(runtime);
  await cli.run(["kill", "--all", id, "KILL"]);
  if (parts.frozen.delete(id)) await cli.run(["resume", id]);
}
