import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { isGone } from "./cli.ts";
import { exitDirectory } from "./exits.ts";
import type { Parts } from "./parts.ts";
import { killContainer } from "./settle.ts";
import type { LiveTask, TaskRecord } from "./tasks.ts";

/** What conmon and we put into a bundle's directory; the directory itself is the caller's. */
const bundleFiles = ["config.json", "attach", "ctl", "winsz", "pidfile", "exit", "oom", "null"];
/** From the kill of a process to its monitor's end. */
const endGrace = 10_000;

/** Kills what still runs, and removes the runtime's state, the cgroups, conmon's files and the record, in this order. */
export async function deleteContainer(parts: Parts, id: string): Promise<void> {
  const task = parts.tasks.find(id);
  if (!task) return;
  if (!task.exit) await end(parts, task, () => killContainer(parts, task.record));
  await deleteState(parts, task.record);
  removeCgroup(parts, task.record);
  for (const exec of parts.tasks.execsOf(id)) await deleteExec(parts, exec.record.id);
  await removeMonitorFiles(parts, task.record);
  parts.frozen.delete(id);
  parts.exits.forget(id);
  parts.tasks.forget(id);
}

/** Without --force first: with it runc waits 100 ms to see what it has killed. */
async function deleteState(parts: Parts, record: TaskRecord): Promise<void> {
  const { id } = record;
  const { cli } = parts.runtimes.get(record.runtime);
  const gentle = await cli.run(["delete", id]);
  if (gentle.code === 0 || isGone(gentle.stderr)) return;
  const { code, stderr } = await cli.run(["delete", "--force", id]);
  if (code !== 0 && !isGone(stderr)) throw new EngineError("internal", `Delete container ${id}: ${stderr.trim()}`);
}

/** A leftover is worth a line in the log, not a container that cannot be removed. */
function removeCgroup(parts: Parts, { id, cgroup }: TaskRecord): void {
  if (cgroup === undefined) return;
  try {
    parts.host.cgroups.remove(cgroup);
  } catch (err) {
    parts.log.warn("Cannot remove a container's cgroup", { container: id, error: err });
  }
}

export async function deleteExec(parts: Parts, id: string): Promise<void> {
  const task = parts.tasks.find(id);
  if (!task) return;
  if (!task.exit) {
    if (isAlive(parts, task)) throw new EngineError("conflict", `Exec ${id} is still running`);
    await task.settled;
  }
  await rm(task.record.directory, { recursive: true, force: true });
  parts.exits.forget(id);
  parts.tasks.forget(id);
}

/** An exec ends with its container's pid namespace; who shares the host's may outlive it, but not its cgroup's removal. */
function isAlive(parts: Parts, task: LiveTask): boolean {
  const container = parts.tasks.find(task.record.containerId);
  if (!container || container.exit) return false;
  const { cgroup } = container.record;
  return cgroup !== undefined && parts.host.cgroups.pids(cgroup).includes(task.pid);
}

/** Waits until the exit is known, so that conmon writes nothing after its files were removed. */
async function end(parts: Parts, task: LiveTask, kill: () => Promise<void>): Promise<void> {
  await kill();
  const patience = new AbortController();
  const late = after(endGrace, patience.signal).then(
    () => true,
    () => false,
  );
  const stuck = await Promise.race([task.settled.then(() => false), late]);
  patience.abort();
  if (!stuck) return;
  const { id } = task.record;
  parts.log.warn("A killed task's monitor does not end: it is killed too", { task: id, monitor: task.monitorPid });
  await parts.host.processes.run(["kill", "-KILL", String(task.monitorPid)], { env: {} });
  await task.settled;
}

export async function removeMonitorFiles(parts: Pick<Parts, "paths">, record: TaskRecord): Promise<void> {
  const files = bundleFiles.map((name) => join(record.directory, name));
  const exit = join(exitDirectory(parts.paths, record), record.containerId);
  await Promise.all([...files, exit].map((file) => rm(file, { force: true })));
}
