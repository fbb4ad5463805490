import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after } from "../../async/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import type { Child } from "../../host/mod.ts";
import type { Parts } from "../parts.ts";
import type { ExecOnce, RunOnceIo } from "../runtime.ts";
import { startExec } from "./child.ts";
import { killInside } from "./kill.ts";
import { Outputs, pipesOf } from "./outputs.ts";

/** Its name tells such an exec from those that are tasks, also after the daemon's death. */
const pidName = "once.pid";
/** How long a killed process may take to be gone: longer only when it is frozen, and then it dies once it is thawed. */
const deathLimit = 5000;
/** Until the second look for the pid of a process that is to be killed; each time twice as long. */
const firstPause = 20;
/** Bytes of output that are taken at once; beyond them `breath` milliseconds lie between two chunks. */
const freely = 256 * 1024;
const breath = 5;
const killedCode = 137;

/**
 * A process whose output and exit code are its caller's alone: no task, no name. Who writes without end is read slowly.
 * Throws {@link startError} when the process could not be started, the signal's reason after an abort, which kills.
 */
export async function execOnce(parts: Parts, request: ExecOnce, io: RunOnceIo): Promise<number> {
  io.signal.throwIfAborted();
  await parts.policy.ensure(request.process.apparmorProfile);
  parts.host.cgroups.expectMove();
  mkdirSync(request.directory, { recursive: true, mode: 0o700 });
  const pidFile = join(request.directory, pidName);
  rmSync(pidFile, { force: true });
  const { child, complaint } = await startExec(parts, { ...request, pidFile, stdio: ["ignore", "output", "output"] });
  const code = await follow(parts, { child, request }, io);
  io.signal.throwIfAborted();
  const failure = code === 0 ? undefined : complaint();
  if (failure) throw failure;
  return code;
}

interface Running {
  readonly child: Child;
  readonly request: ExecOnce;
}

async function follow(parts: Parts, running: Running, io: RunOnceIo): Promise<number> {
  const { child } = running;
  const outputs = new Outputs(pipesOf(child));
  const passed = pass(outputs, io);
  const killed = Promise.withResolvers<void>();
  const abort = () => void end(parts, running).finally(killed.resolve);
  io.signal.addEventListener("abort", abort, { once: true });
  if (io.signal.aborted) abort();
  try {
    const code = await Promise.race([child.exited, killed.promise.then(() => killedCode)]);
    if (io.signal.aborted) outputs.stop();
    else await outputs.finish();
    await passed;
    return code;
  } finally {
    io.signal.removeEventListener("abort", abort);
    outputs.stop();
  }
}

async function pass(outputs: Outputs, io: RunOnceIo): Promise<void> {
  let taken = 0;
  for await (const { stream, bytes } of outputs.read()) {
    io.onOutput(stream, bytes);
    taken += bytes.length;
    if (taken > freely) await after(breath);
  }
}

/** Kills the process and its session, and waits until the runtime, whose child it is, has seen it go. */
async function end(parts: Parts, { child, request: { containerId, directory } }: Running): Promise<void> {
  let gone = false;
  const exited = child.exited.then(() => {
    gone = true;
  });
  for (let [waited, pause] = [0, firstPause]; !gone && waited < deathLimit; waited += pause, pause *= 2) {
    const inside = { containerId, pid: pidIn(join(directory, pidName)) };
    await killInside(parts, inside, "session").catch((err: unknown) => {
      parts.log.warn("Cannot kill a process in a container", { container: containerId, error: err });
    });
    await Promise.race([exited, after(pause)]);
  }
  if (!gone) child.kill(9);
}

/** 0 when it has not started yet. */
function pidIn(file: string): number {
  try {
    return Number(readFileSync(file, "utf8")) || 0;
  } catch {
    return 0;
  }
}

/** Kills what a daemon that was killed has left running of such execs; `lines` are command lines by pid. */
export async function endLeftExecs(parts: Parts, lines: ReadonlyMap<number, readonly string[]>): Promise<void> {
  for (const [pid, args] of lines) {
    const file = args[args.indexOf("--pid-file") + 1] ?? "";
    const ours = args.some((arg) => arg.startsWith(`${parts.paths.state}/`));
    if (!ours || !args.includes("exec") || !file.endsWith(`/${pidName}`)) continue;
    const containerId = args.at(-1) ?? "";
    parts.log.info("Ending a health check that an earlier daemon left", { container: containerId });
    await killInside(parts, { containerId, pid: pidIn(file) }, "session");
    await parts.host.processes.ended(pid, AbortSignal.timeout(deathLimit)).catch((err: unknown) => {
      throw new EngineError("internal", `The exec ${pid} of container ${containerId} does not end`, { cause: err });
    });
  }
}
