import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { Child, Pty } from "../../host/mod.ts";
import { startError } from "../failure.ts";
import type { Parts } from "../parts.ts";
import type { Task, TaskStreams } from "../runtime.ts";
import { lastError } from "../runtime-log.ts";
import { follow, killExec } from "../settle.ts";
import type { LiveTask } from "../tasks.ts";
import type { Prepared } from "./exec.ts";
import { Outputs, type Source } from "./outputs.ts";

/** The descriptor on which crun says the process's pid: `--pid-file` takes any path. */
const pidPipe = 3;
const killedCode = 137;

/**
 * An exec as crun's and our own child. crun waits for the process and ends with its exit code; what it has to complain about
 * goes to a log of its own. It is in a session of its own, so that the process outlives us, though its streams do not.
 * Throws {@link startError} with crun's reason.
 */
export async function startDirectly(parts: Parts, prepared: Prepared): Promise<Task> {
  const { request, record } = prepared;
  const log = join(record.directory, "crun.log");
  using sender = request.terminal ? parts.host.processes.consoleSocket(join(record.directory, "console")) : undefined;
  const child = spawn(parts, { prepared, log });
  const pid = await reportedPid(child);
  const program = request.process.args[0] ?? "";
  if (pid === undefined) throw startError({ said: await whyNot(child, log), program, kind: "exec" });
  const terminal = sender?.receive();
  const streams = streamsOf(child, terminal);
  // A terminal that nobody holds is hung up, and one that nobody reads fills up.
  if (!request.attach) void discard(streams);
  const live: LiveTask = {
    ...{ record, pid, monitorPid: child.pid },
    ...{ settled: Promise.resolve(), control: Promise.resolve() },
    resize: (size) => terminal?.resize(size),
  };
  parts.tasks.add(live);
  follow(parts, live, ended(parts, { live, child }));
  return { id: record.id, pid, monitorPid: child.pid, ...(request.attach && { streams }) };
}

function spawn(parts: Parts, { prepared, log }: { prepared: Prepared; log: string }): Child {
  const { request, record, processFile } = prepared;
  const { terminal, attach, stdin } = request;
  const socket = terminal ? ["--console-socket", join(record.directory, "console")] : [];
  const own = ["--pid-file", `/proc/self/fd/${pidPipe}`, "--process", processFile, ...socket];
  const { cli } = parts.runtimes.get(record.runtime);
  const argv = cli.argv("--log", log, "--log-format", "json", "exec", ...own, record.containerId);
  const output = attach && !terminal ? "pipe" : "ignore";
  const input = attach && stdin && !terminal ? "pipe" : "ignore";
  const child = parts.host.processes.spawn(argv, {
    ...{ cwd: record.directory, env: {}, detached: true },
    stdio: [input, output, output, "output"],
  });
  for (const pipe of child.pipes.values()) pipe.on("error", () => undefined); // whoever reads or writes it sees the end
  // crun sets the terminal's size while the process is on its way to its program: it must not come late on a busy machine.
  if (terminal) parts.host.processes.hurry(child.pid);
  return child;
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

async function whyNot(child: Child, log: string): Promise<string> {
  const code = await child.exited;
  for (const pipe of child.pipes.values()) pipe.destroy();
  return lastError(log) ?? `crun ended with code ${code} before it started anything`;
}

/** Killed itself, crun has left its process alone. */
async function ended(parts: Parts, { live, child }: { live: LiveTask; child: Child }) {
  const code = await child.exited;
  const at = Date.now();
  if (code === killedCode) await killExec(parts, live);
  return { code, at };
}

function streamsOf(child: Child, terminal: Pty | undefined): TaskStreams {
  const outputs = new Outputs(terminal ? new Map([["stdout", { stream: terminal.output }]]) : pipesOf(child));
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

function pipesOf(child: Child): Map<"stdout" | "stderr", Source> {
  const found = new Map<"stdout" | "stderr", Source>();
  for (const [name, number] of [
    ["stdout", 1],
    ["stderr", 2],
  ] as const) {
    const stream = child.pipes.get(number);
    if (stream) found.set(name, { stream, unread: () => child.unread(number) });
  }
  return found;
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
