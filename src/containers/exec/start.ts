import { rm } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, kindOf, messageOf } from "../../errors/mod.ts";
import type { HijackedSocket } from "../../http/mod.ts";
import { createFailure, type Task } from "../../runtime/mod.ts";
import type { ExecStartBody } from "../../wire/mod.ts";
import type { StreamConnect } from "../containers.ts";
import type { Context } from "../context.ts";
import { detachKeys } from "../detach-keys.ts";
import { commandText, publish } from "../event.ts";
import { Hub, type StreamName } from "../hub.ts";
import { pathsOf } from "../paths.ts";
import { resolve } from "../refs.ts";
import { encode, serve } from "../serve.ts";
import { isLive, transition } from "../transition.ts";
import { execProcess } from "./process.ts";
import type { Exec } from "./table.ts";

export interface ExecStart {
  readonly body: ExecStartBody;
  readonly connect?: StreamConnect;
}

/**
 * Runs a created exec. Detached: until it runs. Attached: until its streams have ended, or the client has left, which leaves
 * the process alone. The connection is taken over before the process starts, as dockerd does: clients (docker-py) lose output
 * that arrives together with the head of the answer. What fails from then on is told on the stream; a command that cannot be
 * run is an exit code (126, 127), too.
 */
export async function startExec(ctx: Context, execId: string, { body, connect }: ExecStart): Promise<void> {
  const exec = claim(ctx, execId);
  const attached = !body.Detach && connect !== undefined;
  const socket = attached ? await connected(ctx, { exec, connect, tty: body.Tty }) : undefined;
  let task: Task;
  try {
    task = await launch(ctx, { exec, body, attached });
  } catch (failed) {
    const err = whyFailed(ctx, exec, failed);
    const failure = createFailure(err);
    await rm(directoryOf(ctx, exec), { recursive: true, force: true });
    ended(ctx, { id: execId, code: failure?.exitCode ?? 126 });
    await socket?.write(whyNot(failure?.message ?? messageOf(err), body.Tty));
    if (!socket || (!failure && kindOf(err) === "internal")) throw err;
    return;
  }
  if (socket) await serveExec(ctx, { exec, task, tty: body.Tty, socket });
}

/** A container that ended in the middle of it is no error of the engine's. */
function whyFailed(ctx: Context, { containerId }: Exec, err: unknown): unknown {
  const row = ctx.table.get(containerId);
  const there = row && isLive(row.phase) && !/container `[^`]*` is not running/.test(messageOf(err));
  return there ? err : new EngineError("conflict", `container ${containerId} is not running`, { cause: err });
}

/** Nobody may start an exec twice. */
function claim(ctx: Context, execId: string): Exec {
  const exec = ctx.execs.get(execId);
  if (exec.phase === "ended") throw new EngineError("conflict", `Error: Exec command ${execId} has already run`);
  if (exec.phase !== "created") throw new EngineError("conflict", `Error: Exec command ${execId} is already running`);
  const row = resolve(ctx.table, exec.containerId);
  transition(row.phase, "exec", row);
  return ctx.execs.update(execId, { phase: "starting" });
}

function directoryOf(ctx: Context, exec: Exec): string {
  return join(pathsOf(ctx.config, exec.containerId).execs, exec.id.slice(0, 16));
}

async function launch(
  ctx: Context,
  { exec, body, attached }: { exec: Exec; body: ExecStartBody; attached: boolean },
): Promise<Task> {
  const row = resolve(ctx.table, exec.containerId);
  const directory = directoryOf(ctx, exec);
  const size = body.ConsoleSize ?? exec.body.ConsoleSize;
  const task = await ctx.runtime.exec({
    execId: exec.id,
    containerId: row.id,
    directory,
    process: execProcess(ctx, { row, body: exec.body }),
    terminal: exec.body.Tty,
    stdin: exec.body.AttachStdin && attached,
    attach: attached,
    ...(size && { size: { rows: size[0], columns: size[1] } }),
  });
  if (ctx.execs.get(exec.id).phase === "starting") ctx.execs.update(exec.id, { phase: "running", pid: task.pid });
  const action = `exec_start: ${commandText(exec.body.Cmd)}`;
  publish(ctx, row, { action, attributes: { execID: exec.id } });
  return task;
}

async function serveExec(
  ctx: Context,
  { exec, task, tty, socket }: { exec: Exec; task: Task; tty: boolean; socket: HijackedSocket },
): Promise<void> {
  const hub = new Hub();
  const reader = hub.join(wanted(exec));
  if (task.streams) hub.bind(task.streams);
  else hub.close();
  const outcome = await serve({
    hub,
    reader,
    socket,
    tty,
    stdin: exec.body.AttachStdin,
    closeStdin: true,
    detachKeys: detachKeys(exec.body.DetachKeys),
  });
  const row = ctx.table.get(exec.containerId);
  if (outcome === "detached" && row) publish(ctx, row, { action: "exec_detach", attributes: { execID: exec.id } });
  // Clients ask for the exit code as soon as the stream ends: it must be there by then.
  if (outcome === "ended" && !socket.signal.aborted) await ctx.execs.ended(exec.id);
}

/** A client that has left before its process started leaves an exec that has ended. */
async function connected(
  ctx: Context,
  { exec, connect, tty }: { exec: Exec; connect: StreamConnect; tty: boolean },
): Promise<HijackedSocket> {
  try {
    return await connect(tty ? "raw" : "multiplexed");
  } catch (err) {
    ended(ctx, { id: exec.id, code: 126 });
    throw err;
  }
}

function wanted({ body }: Exec): ReadonlySet<StreamName> {
  const names: StreamName[] = [];
  if (body.AttachStdout || body.Tty) names.push("stdout");
  if (body.AttachStderr) names.push("stderr");
  return new Set(names);
}

function whyNot(why: string, tty: boolean): Uint8Array {
  return encode([{ stream: "stdout", bytes: Buffer.from(`${why}\r\n`) }], tty);
}

/** Records the end of an exec, by its exit or by a failure to start, and tells of it. */
export function ended(ctx: Context, exit: { readonly id: string; readonly code: number }): Exec | undefined {
  const exec = ctx.execs.end(exit);
  const row = exec && ctx.table.get(exec.containerId);
  if (exec && row) {
    publish(ctx, row, { action: "exec_die", attributes: { execID: exec.id, exitCode: String(exit.code) } });
  }
  return exec;
}

/** An exec's process has ended: what is kept of it goes. */
export async function execExited(ctx: Context, exit: { readonly id: string; readonly code: number }): Promise<void> {
  const exec = ended(ctx, exit);
  await ctx.runtime.deleteExec(exit.id);
  if (exec) await rm(directoryOf(ctx, exec), { recursive: true, force: true });
}
