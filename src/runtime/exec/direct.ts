import { join } from "node:path";
import type { Duplex } from "node:stream";
import { EngineError } from "../../errors/mod.ts";
import type { Child, Pty } from "../../host/mod.ts";
import type { Parts } from "../parts.ts";
import type { Task, TaskStreams } from "../runtime.ts";
import { follow } from "../settle.ts";
import type { LiveTask } from "../tasks.ts";
import { type ExecChild, startExec } from "./child.ts";
import type { Prepared } from "./exec.ts";
import { killInside } from "./kill.ts";
import { Outputs, pipesOf, type Source } from "./outputs.ts";

/** The descriptor on which crun says the process's pid: `--pid-file` takes any path. */
const pidPipe = 3;
const killedCode = 137;

/** An exec that is a task, as crun's and our own child. Throws {@link startError} with crun's reason. */
export async function startDirectly(parts: Parts, { request, record, process }: Prepared): Promise<Task> {
  const { containerId, directory } = record;
  const { attach, stdin } = request;
  const consoleSocket = request.terminal ? join(directory, "console") : undefined;
  using sender = consoleSocket === undefined ? undefined : parts.host.processes.consoleSocket(consoleSocket);
  const output = attach && !sender ? "output" : "ignore";
  const exec = await startExec(parts, {
    ...{ containerId, directory, process, pidFile: `/proc/self/fd/${pidPipe}` },
    ...(consoleSocket !== undefined && { consoleSocket }),
    stdio: [attach && stdin && !sender ? "pipe" : "ignore", output, output, "output"],
  });
  const { child } = exec;
  const pid = await reportedPid(child);
  if (pid === undefined) throw await whyNot(exec);
  const terminal = sender?.receive();
  const streams = streamsOf(child, terminal);
  // A terminal that nobody holds is hung up, and one that nobody reads fills up.
  if (!attach) void discard(streams);
  const live: LiveTask = {
    ...{ record, pid, monitorPid: child.pid },
    ...{ settled: Promise.resolve(), control: Promise.resolve() },
    resize: (size) => terminal?.resize(size),
  };
  parts.tasks.add(live);
  follow(parts, live, ended(parts, { live, child }));
  return { id: record.id, pid, monitorPid: child.pid, ...(attach && { streams }) };
}

/** Undefined when crun has ended without having started anything. */
function reportedPid(child: Child): Promise<number | undefined> {
  const pipe = child.pipes.get(pidPipe);
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  pipe?.once("data", (bytes) => resolve(Number(String(bytes))));
  pipe?.once("close", () => resolve(undefined));
  pipe?.once("end", () => resolve(undefined));
  return promise.finally(() => pipe?.destroy());
}

async function whyNot({ child, complaint }: ExecChild): Promise<EngineError> {
  const code = await child.exited;
  for (const pipe of child.pipes.values()) pipe.destroy();
  return complaint() ?? new EngineError("internal", `crun ended with code ${code} before it started anything`);
}

/** Killed itself, crun has left its process alone. */
async function ended(parts: Parts, { live, child }: { live: LiveTask; child: Child }) {
  const code = await child.exited;
  const at = Date.now();
  if (code === killedCode) await killInside(parts, { containerId: live.record.containerId, pid: live.pid }, "process");
  return { code, at };
}

function streamsOf(child: Child, terminal: Pty | undefined): TaskStreams {
  const outputs = new Outputs(terminal ? sourceOf(terminal) : pipesOf(child));
  void child.exited.then(() => outputs.finish());
  const stdin = child.pipes.get(0);
  return {
    output: outputs.read(),
    write: (bytes) => (terminal ? terminal.write(bytes) : writeTo(stdin, bytes)),
    closeStdin: () => void stdin?.end(),
    [Symbol.dispose]() {
      outputs.stop();
      stdin?.destroy();
      terminal?.[Symbol.dispose]();
    },
  };
}

function sourceOf(terminal: Pty): ReadonlyMap<"stdout", Source> {
  return new Map([["stdout", { stream: terminal.output, unread: () => (terminal.hasOutput() ? 1 : 0) }]]);
}

async function discard(streams: TaskStreams): Promise<void> {
  for await (const _ of streams.output);
  streams[Symbol.dispose]();
}

/** Resolves when the pipe has taken it; rejects when the process reads no more. */
function writeTo(pipe: Duplex | undefined, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!pipe || pipe.destroyed || pipe.writableEnded) reject(new Error("stdin is closed"));
    else pipe.write(bytes, (err) => (err ? reject(err) : resolve()));
  });
}
