import { readdirSync, readFileSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { OciRuntime } from "./choice/runtimes.ts";
import type { ListedContainer } from "./cli.ts";
import { endLeftExecs } from "./exec/once.ts";
import { readExit } from "./exits.ts";
import type { Parts } from "./parts.ts";
import type { RecoveredTask } from "./runtime.ts";
import { exitOf, follow, killContainer, lostCode } from "./settle.ts";
import type { LiveTask, TaskRecord } from "./tasks.ts";

/**
 * Adopts what an earlier daemon started: every record becomes a task again, whose monitor is followed or whose exit file is
 * read. Containers without a record are what a crash left of a build step or of a half-done create; they are removed.
 */
export async function recover(parts: Parts): Promise<RecoveredTask[]> {
  const names = await readdir(parts.paths.tasks);
  const records = names.flatMap((name) => parts.tasks.read(name) ?? []).filter(({ id }) => !parts.tasks.find(id));
  const [listed, lines] = await Promise.all([listAll(parts), commandLines()]);
  const monitors = findMonitors(lines);
  const containers = new Map(listed.map(({ entry }) => [entry.id, entry]));
  const found: RecoveredTask[] = [];
  for (const record of [...records].sort(containersFirst)) {
    found.push(
      await adopt(parts, {
        record,
        listed: containers.get(record.containerId),
        monitor: monitors.get(record.directory),
      }),
    );
  }
  await endLeftExecs(parts, lines).catch((err: unknown) => {
    parts.log.error("Cannot end what an earlier daemon left", { error: err });
  });
  for (const { entry, runtime } of listed)
    if (!parts.tasks.find(entry.id)) await removeOrphan(parts, { entry, runtime });
  for (const id of await readdir(parts.paths.exits)) {
    if (!parts.tasks.find(id)) await rm(join(parts.paths.exits, id), { recursive: true, force: true });
  }
  return found;
}

interface Listed {
  readonly entry: ListedContainer;
  readonly runtime: OciRuntime;
}

async function listAll(parts: Parts): Promise<Listed[]> {
  const lists = parts.runtimes.inUse().map(async (runtime) => {
    const entries = await runtime.cli.list();
    return entries.map((entry) => ({ entry, runtime }));
  });
  return (await Promise.all(lists)).flat();
}

/** An exec is told apart from a stranger by its container's cgroup. */
function containersFirst(one: TaskRecord, other: TaskRecord): number {
  return one.kind.localeCompare(other.kind);
}

interface Found {
  readonly record: TaskRecord;
  readonly listed: ListedContainer | undefined;
  readonly monitor: number | undefined;
}

async function adopt(parts: Parts, found: Found): Promise<RecoveredTask> {
  const { record, monitor } = found;
  const pid = record.kind === "container" ? (found.listed?.pid ?? 0) : execPid(record, monitor);
  const task: LiveTask = {
    record,
    pid,
    monitorPid: monitor ?? 0,
    settled: Promise.resolve(),
    control: Promise.resolve(),
  };
  parts.tasks.add(task);
  const known = { id: record.id, kind: record.kind, pid };
  const state = monitor === undefined ? "exited" : stateOf(found);
  if (state !== "exited") {
    if (state === "paused") parts.frozen.add(record.id);
    follow(
      parts,
      task,
      parts.host.processes.ended(monitor ?? 0).then(() => undefined),
    );
    return { ...known, state };
  }
  return { ...known, state, exit: await exitAlready(parts, { task, found }) };
}

function stateOf({ record, listed }: Found): RecoveredTask["state"] {
  if (record.kind === "exec") return "running";
  if (!listed) return "created"; // the OCI runtime is still making it
  const { status } = listed;
  // "stopped": conmon is about to write the exit file, and will be heard.
  return status === "created" || status === "paused" ? status : "running";
}

/** No monitor any more: its exit file, or what is left is killed. */
async function exitAlready(parts: Parts, { task, found }: { task: LiveTask; found: Found }) {
  const { record } = task;
  const known = readExit(parts.paths, record) ?? (await killLeft(parts, found));
  task.exit = exitOf(parts, task, known);
  return task.exit;
}

async function killLeft(parts: Parts, { record, listed }: Found): Promise<{ code: number; at: number }> {
  const running = record.kind === "container" && listed !== undefined && listed.status !== "stopped";
  if (!running) return { code: lostCode, at: Date.now() };
  parts.log.warn("A container's monitor has died: it is killed", { container: record.id });
  if (listed.status === "paused") parts.frozen.add(record.id);
  await killContainer(parts, record);
  await parts.host.processes.ended(listed.pid);
  return { code: 137, at: Date.now() };
}

async function removeOrphan(parts: Parts, { entry: { id }, runtime }: Listed): Promise<void> {
  parts.log.info("Removing a container that belongs to nobody", { container: id });
  const { code, stderr } = await runtime.cli.run(["delete", "--force", id]);
  if (code !== 0) parts.log.warn("Cannot remove it", { container: id, error: stderr.trim() });
}

/** conmon leaves it in a file; the process of a crun that waits for it is its only child (proc(5), where the kernel shows it). */
function execPid(record: TaskRecord, monitor: number | undefined): number {
  try {
    return Number(readFileSync(join(record.directory, "pidfile"), "utf8"));
  } catch {
    return monitor === undefined ? 0 : childOf(monitor);
  }
}

function childOf(pid: number): number {
  try {
    return Number.parseInt(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"), 10) || 0;
  } catch {
    return 0;
  }
}

/** The directory of the task that a process with these arguments looks after. */
function monitored(args: readonly string[]): string | undefined {
  const program = args[0] ?? "";
  if (/(^|\/)conmon$/.test(program)) return args[args.indexOf("-b") + 1];
  const file = /(^|\/)crun$/.test(program) && args.includes("exec") ? args[args.indexOf("--process") + 1] : undefined;
  return file && dirname(file);
}

/** Running monitors by their bundle's directory: their arguments say it, and no stale pid can be mistaken for them. */
function findMonitors(lines: ReadonlyMap<number, readonly string[]>): Map<string, number> {
  const found = new Map<string, number>();
  for (const [pid, args] of lines) {
    const directory = monitored(args);
    if (directory !== undefined) found.set(directory, pid);
  }
  return found;
}

async function commandLines(): Promise<Map<number, readonly string[]>> {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const found = new Map<number, readonly string[]>();
  await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""); // it has ended meanwhile
      const args = text.split("\0");
      if (args.at(-1) === "") args.pop();
      found.set(Number(pid), args);
    }),
  );
  return found;
}
