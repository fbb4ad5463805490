import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { after } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { Child } from "../host/mod.ts";
import { startError } from "./failure.ts";
import type { Parts } from "./parts.ts";
import type { ExecOnce, RunOnceIo } from "./runtime.ts";
import { lastError } from "./runtime-log.ts";
import { specText } from "./spec.ts";

/** Its name tells such an exec from those under a monitor, also after the daemon's death. */
const pidName = "once.pid";
/** How long output may still come after the process has ended, from whoever else holds its pipes (runc itself waits for them). */
const flushLimit = 200;
/** How long a killed process may take to be gone: longer only when it is frozen, and then it dies once it is thawed. */
const deathLimit = 5000;
/** Until the second look for the pid of a process that is to be killed; each time twice as long. */
const firstPause = 20;
/** Bytes of output that are taken at once; beyond them `breath` milliseconds lie between two chunks. */
const freely = 256 * 1024;
const breath = 5;

/**
 * The OCI runtime's `exec` with pipes, and no monitor: half of what an exec with one costs. Who writes without end is read
 * slowly. Throws {@link startError} when the process could not be started, the signal's reason after an abort, which kills.
 */
export async function execOnce(parts: Parts, request: ExecOnce, io: RunOnceIo): Promise<number> {
  io.signal.throwIfAborted();
  const { directory, process } = request;
  const log = join(directory, "runtime.log");
  // A few hundred microseconds; handing them to threads and back takes longer, hundreds of times a second.
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const file of [log, join(directory, pidName)]) rmSync(file, { force: true });
  writeFileSync(join(directory, "process.json"), specText(process), { mode: 0o600 });
  const code = await run(parts, request, { io, log });
  io.signal.throwIfAborted();
  const said = code === 0 ? undefined : lastError(log);
  if (said !== undefined) throw startError({ said, program: process.args[0] ?? "", kind: "exec" });
  return code;
}

async function run(parts: Parts, request: ExecOnce, { io, log }: { io: RunOnceIo; log: string }): Promise<number> {
  const { containerId, directory } = request;
  const files = ["--pid-file", join(directory, pidName), "--process", join(directory, "process.json")];
  const { cli } = parts.runtimes.get(parts.tasks.get(containerId).record.runtime);
  const argv = cli.argv("--log", log, "--log-format", "json", "exec", ...files, containerId);
  const stdio = ["ignore", "pipe", "pipe"] as const;
  const child = parts.host.processes.spawn(argv, { cwd: directory, env: {}, stdio, detached: true });
  const killed = Promise.withResolvers<void>();
  const abort = () => void end(parts, { child, request }).finally(killed.resolve);
  io.signal.addEventListener("abort", abort, { once: true });
  if (io.signal.aborted) abort();
  try {
    const outputs = Promise.all([
      drain(child.pipes.get(1), (bytes) => io.onOutput("stdout", bytes)),
      drain(child.pipes.get(2), (bytes) => io.onOutput("stderr", bytes)),
    ]);
    const code = await Promise.race([child.exited, killed.promise.then(() => 137)]);
    await Promise.race([outputs, after(flushLimit)]);
    return code;
  } finally {
    io.signal.removeEventListener("abort", abort);
    for (const pipe of child.pipes.values()) pipe.destroy();
  }
}

/** Kills the process and its session, and waits until the runtime, whose child it is, has seen it go. */
async function end(parts: Parts, { child, request }: { child: Child; request: ExecOnce }): Promise<void> {
  let gone = false;
  const exited = child.exited.then(() => {
    gone = true;
  });
  for (let [waited, pause] = [0, firstPause]; !gone && waited < deathLimit; waited += pause, pause *= 2) {
    await killSession(parts, request).catch((err: unknown) => {
      parts.log.warn("Cannot kill a process in a container", { container: request.containerId, error: err });
    });
    await Promise.race([exited, after(pause)]);
  }
  if (!gone) child.kill(9);
}

/**
 * The process and what shares its session, which either runtime makes for it. Only processes of the container's cgroup: a pid
 * of the file may be somebody else's by now.
 */
async function killSession(parts: Parts, { containerId, directory }: Omit<ExecOnce, "process">): Promise<void> {
  const leader = pidIn(directory);
  const task = parts.tasks.find(containerId);
  if (leader === undefined || task?.record.cgroup === undefined) return;
  const inside = parts.host.cgroups.pids(task.record.cgroup);
  if (!inside.includes(leader) || leader === task.pid) return;
  const session = sessionOf(leader);
  const own = session !== undefined && session !== sessionOf(task.pid);
  const members = inside.filter((pid) => pid === leader || (own && sessionOf(pid) === session));
  await parts.host.processes.run(["kill", "-KILL", ...members.map(String)], { env: {} });
}

function pidIn(directory: string): number | undefined {
  try {
    return Number(readFileSync(join(directory, pidName), "utf8")) || undefined;
  } catch {
    return undefined; // not started yet
  }
}

/** The sixth field of proc_pid_stat(5), counted from behind the name, which may hold anything. */
function sessionOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[3]);
  } catch {
    return undefined; // it has ended
  }
}

/** Resolves at the end of the stream; its errors are the end too. */
function drain(stream: Readable | undefined, take: (bytes: Uint8Array) => void): Promise<void> {
  let taken = 0;
  return new Promise((resolve) => {
    if (!stream) return resolve();
    stream
      .on("data", (bytes: Uint8Array) => {
        take(bytes);
        taken += bytes.length;
        if (taken <= freely) return;
        stream.pause();
        setTimeout(() => stream.resume(), breath);
      })
      .once("end", resolve)
      .once("close", resolve)
      .once("error", () => resolve());
  });
}

/** Kills what a daemon that was killed has left running of such execs; `lines` are command lines by pid. */
export async function endLeftExecs(parts: Parts, lines: ReadonlyMap<number, readonly string[]>): Promise<void> {
  for (const [pid, args] of lines) {
    const file = args[args.indexOf("--pid-file") + 1] ?? "";
    const ours = args.some((arg) => arg.startsWith(`${parts.paths.state}/`));
    if (!ours || !args.includes("exec") || !file.endsWith(`/${pidName}`)) continue;
    const containerId = args.at(-1) ?? "";
    parts.log.info("Ending a health check that an earlier daemon left", { container: containerId });
    await killSession(parts, { containerId, directory: file.slice(0, -pidName.length - 1) });
    await parts.host.processes.ended(pid, AbortSignal.timeout(deathLimit)).catch((err: unknown) => {
      throw new EngineError("internal", `The exec ${pid} of container ${containerId} does not end`, { cause: err });
    });
  }
}
