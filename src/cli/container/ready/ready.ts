import { after } from "../../../async/mod.ts";
import type { Client } from "../../../client/mod.ts";
import { EngineError, isKind, messageOf } from "../../../errors/mod.ts";
import type { ContainerInspect, WaitAnswer } from "../../../wire/mod.ts";
import type { CliIo } from "../../io.ts";
import { containerPath } from "../path.ts";
import { type Goal, goalText } from "./goal.ts";
import { lastLines, lineMatches } from "./log-lines.ts";
import { Progress } from "./progress.ts";

export interface Waiting {
  /** Name or id, as the user knows it. */
  readonly name: string;
  readonly goals: readonly Goal[];
  /** Milliseconds; 0 is for ever. */
  readonly timeout: number;
  /** Only log lines since then count: see `endOfLog`; all of them without it. */
  readonly since?: string;
}

/** What all steps of one wait share. */
interface Wait extends Pick<Waiting, "name" | "since"> {
  readonly client: Client;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Between two looks, in milliseconds. */
const pause = 100;
/** A timer that is set to more milliseconds fires at once. */
const longestTimer = 2 ** 31 - 1;

/**
 * Waits until all goals hold, showing how it goes on a terminal. Throws "unavailable" with the reason, and with the last
 * check's or the container's own last words, when it ends, is unhealthy, or takes too long. The container is left as it is.
 */
export async function untilReady(waiting: Waiting, { io, client }: { io: CliIo; client: Client }): Promise<void> {
  const { timeout, goals } = waiting;
  const late = new AbortController();
  const timer = timeout > 0 ? setTimeout(() => late.abort(), Math.min(timeout, longestTimer)) : undefined;
  try {
    for (const goal of goals) await one({ ...waiting, client, io, signal: late.signal }, goal);
  } finally {
    clearTimeout(timer);
  }
}

async function one(waiting: Waiting & Omit<Wait, "progress"> & { readonly io: CliIo }, goal: Goal): Promise<void> {
  const { name, signal, timeout } = waiting;
  try {
    using progress = new Progress(waiting.io.stderr, `Waiting for ${name} to ${goalText(goal)}`);
    await reached({ ...waiting, progress }, goal);
  } catch (err) {
    const reason = signal.aborted ? `it has not within ${timeout / 1000} s` : messageOf(err);
    throw await failure(waiting, `${name} failed to ${goalText(goal)}: ${reason}`);
  }
}

async function reached(wait: Wait, goal: Goal): Promise<void> {
  switch (goal.kind) {
    case "default":
    case "running":
    case "healthy":
      return untilState(wait, goal.kind);
    case "port":
      return untilPort(wait, goal.port);
    case "log":
      return untilLogged(wait, goal.pattern);
    default:
      return goal satisfies never;
  }
}

async function untilState(wait: Wait, goal: "default" | "running" | "healthy"): Promise<void> {
  for (;;) {
    const { State } = await inspected(wait);
    const { Health } = State;
    if (goal === "healthy" && State.Running && !Health) throw new Error("it has no health check");
    if (State.Running && Health && goal !== "running") {
      if (Health.Status === "healthy") return;
      if (Health.Status === "unhealthy" && !State.Paused)
        throw new Error(`it is unhealthy, ${Health.FailingStreak} checks in a row have failed`);
    } else if (State.Running && !State.Restarting) return;
    requireLife(State);
    wait.progress.show(Health ? `health: ${Health.Status}` : State.Status);
    await after(pause, wait.signal);
  }
}

/** One that has not been started yet may still be. */
function requireLife({ Running, Status, ExitCode, OOMKilled, Error: why }: ContainerInspect["State"]): void {
  if (Running || Status === "created") return;
  const memory = OOMKilled ? ", having run out of memory" : "";
  throw new Error(`it has ended with exit code ${ExitCode}${memory}${why ? `: ${why}` : ""}`);
}

async function inspected({
  client,
  name,
  signal,
}: Pick<Wait, "client" | "name" | "signal">): Promise<ContainerInspect> {
  try {
    return await client.json<ContainerInspect>({ method: "GET", path: containerPath(name, "/json"), signal });
  } catch (err) {
    if (isKind(err, "not-found")) throw new Error("it is gone (with --rm a container is removed when it ends)");
    throw err;
  }
}

/** The engine looks into the container's network namespace: no connection is made, and it need not be reachable from here. */
async function untilPort(wait: Wait, port: number): Promise<void> {
  const { client, name, signal, progress } = wait;
  progress.show("");
  const query = { condition: `port:${port}` };
  const request = { method: "POST", path: containerPath(name, "/wait"), query, signal } as const;
  const { Error: failed } = await client.json<WaitAnswer>(request);
  if (failed) throw new Error(failed.Message);
}

async function untilLogged(wait: Wait, pattern: RegExp): Promise<void> {
  for (;;) {
    const { Config } = await inspected(wait);
    if (await lineMatches(wait, { pattern, tty: Config.Tty }).catch(noLog)) return;
    const { State } = await inspected(wait); // the log ends with the process
    requireLife(State);
    wait.progress.show(State.Status);
    await after(pause, wait.signal);
  }
}

/** A container that is being removed has no log any more, which is an end like that of its process. */
function noLog(err: unknown): boolean {
  if (isKind(err, "conflict") || isKind(err, "not-found")) return false;
  throw err;
}

async function failure({ client, name }: Pick<Wait, "client" | "name">, reason: string): Promise<EngineError> {
  const signal = AbortSignal.timeout(5000);
  const container = await inspected({ client, name, signal }).catch(() => undefined);
  if (!container) return new EngineError("unavailable", reason);
  const check = container.State.Health?.Log?.at(-1);
  const words = [reason];
  if (check) words.push(`Its last check ended with ${check.ExitCode}: ${check.Output.trim() || "(no output)"}`);
  const lines = await lastLines({ client, name, signal }, container.Config.Tty).catch(() => "");
  if (lines !== "") words.push(`Its last log lines:\n${lines}`);
  const leaves = container.HostConfig.AutoRemove && !container.State.Running;
  if (!leaves) words.push(`The container is left as it is: see berth logs ${name} and berth inspect ${name}`);
  return new EngineError("unavailable", words.join("\n"));
}
