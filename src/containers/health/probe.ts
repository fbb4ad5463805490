import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after } from "../../async/mod.ts";
import { messageOf } from "../../errors/mod.ts";
import { createFailure } from "../../runtime/mod.ts";
import type { ExecCreateBody } from "../../wire/mod.ts";
import { instant } from "../clock.ts";
import type { Context } from "../context.ts";
import { publish } from "../event.ts";
import { execProcess } from "../exec/process.ts";
import { pathsOf } from "../paths.ts";
import { resolve } from "../refs.ts";
import type { Row } from "../table.ts";
import { limitText } from "./limit-text.ts";
import type { Check } from "./machine.ts";
import { Output } from "./output.ts";
import type { Plan } from "./plan.ts";

export interface Probe {
  readonly row: Row;
  readonly plan: Plan;
}

/** The exit code of a check that has none. */
const noCode = -1;
const killedCode = 137;
/** For how long a check counts among those that are being started, in milliseconds: what it costs is its start. */
const startUp = 250;

/** Runs the check in the container, for as long as it may take. Rejects when the signal aborts, having ended the process. */
export async function probe(ctx: Context, asked: Probe, signal: AbortSignal): Promise<Check> {
  await ctx.locks.run(asked.row.id, async () => undefined, signal); // whoever holds it may have frozen the container
  const result = Promise.withResolvers<Check>();
  await ctx.health.starts.run(async () => {
    check(ctx, asked, signal).then(result.resolve, result.reject);
    await Promise.race([result.promise.catch(() => undefined), after(startUp)]);
  }, signal);
  return result.promise;
}

async function check(ctx: Context, asked: Probe, signal: AbortSignal): Promise<Check> {
  signal.throwIfAborted();
  const { timeout } = asked.plan;
  const Start = instant();
  const output = new Output();
  const stop = new AbortController();
  const leave = () => stop.abort(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  const timer = setTimeout(() => stop.abort(), timeout);
  try {
    const ExitCode = await run(ctx, { ...asked, output }, stop.signal);
    return { Start, End: instant(), ExitCode, Output: output.text() };
  } catch (err) {
    signal.throwIfAborted();
    const Output = stop.signal.aborted ? tooLong(timeout, output.text()) : messageOf(err);
    return { Start, End: instant(), ExitCode: noCode, Output };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
  }
}

function tooLong(timeout: number, said: string): string {
  return `Health check exceeded timeout (${limitText(timeout)})${said === "" ? "" : `: ${said}`}`;
}

/** With the events that dockerd has for it, which are an exec's; there is no exec that could be asked for. */
async function run(ctx: Context, asked: Probe & { output: Output }, signal: AbortSignal): Promise<number> {
  const row = resolve(ctx.table, asked.row.id);
  const { command } = asked.plan;
  const execID = randomBytes(32).toString("hex");
  const tell = (action: string, more: Readonly<Record<string, string>> = {}) =>
    publish(ctx, row, { action, attributes: { execID, ...more } });
  tell(`exec_create: ${command.join(" ")}`);
  tell(`exec_start: ${command.join(" ")}`);
  const directory = join(pathsOf(ctx.config, row.id).execs, "health");
  const request = { containerId: row.id, directory, process: execProcess(ctx, { row, body: bodyOf(command) }) };
  const onOutput = (_: string, bytes: Uint8Array) => asked.output.take(bytes);
  let code = killedCode;
  try {
    code = await ctx.runtime.execOnce(request, { signal, onOutput });
    return code;
  } catch (err) {
    code = createFailure(err)?.exitCode ?? killedCode;
    throw err;
  } finally {
    tell("exec_die", { exitCode: String(code) });
  }
}

/** As the container's own user, in its own directory. */
function bodyOf(command: readonly string[]): ExecCreateBody {
  const streams = { AttachStdin: false, AttachStdout: true, AttachStderr: true, Tty: false };
  return { ...streams, Env: null, Cmd: command, Privileged: false, User: "", WorkingDir: "" };
}
