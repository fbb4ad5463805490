import { closeSync, existsSync } from "node:fs";
import type { Duplex } from "node:stream";
import { EngineError, messageOf } from "../errors/mod.ts";
import { consoleSocket } from "./console-socket.ts";
import { type FdPair, pipePair, pipeReader, pipeWriter, socketPair, socketStream } from "./fd-stream.ts";
import { unreadBytes } from "./fifo.ts";
import type { Child, Processes, RunOptions, RunResult, SpawnOptions } from "./host.ts";
import { connectSeqpacket } from "./packet-socket.ts";
import { pidfdEnded } from "./pidfd.ts";
import { missingProgram } from "./programs.ts";
import { urgent } from "./scheduling.ts";

const outputLimit = 16 * 1024 * 1024;

/** Processes of this machine, by `Bun.spawn`: 0.7 ms each whatever the heap, where Node's fork grows with it. */
export function createProcesses(): Processes {
  return { run, spawn, connectSeqpacket, ended: pidfdEnded, consoleSocket, urgent: urgent(run) };
}

async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const child = start(argv, {
    ...common(options),
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin as string),
    stdout: "pipe",
    stderr: "pipe",
  });
  const kill = () => child.kill("SIGKILL");
  options.signal?.addEventListener("abort", kill, { once: true });
  try {
    const [stdout, stderr, code] = await Promise.all([collect(child.stdout), collect(child.stderr), child.exited]);
    options.signal?.throwIfAborted();
    return { code, stdout, stderr };
  } catch (err) {
    kill();
    throw err;
  } finally {
    options.signal?.removeEventListener("abort", kill);
  }
}

async function collect(stream: ReadableStream<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > outputLimit) throw new EngineError("internal", "Run a program: more than 16 MiB of output");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function spawn(argv: readonly string[], options: SpawnOptions): Child {
  const pairs = new Map<number, Pair>();
  try {
    const stdio = options.stdio.map((kind, number) => {
      if (kind !== "pipe" && kind !== "output") return kind;
      const sockets = kind === "pipe" && number > 2;
      const pair = sockets ? socketPair() : pipePair(number > 0);
      pairs.set(number, { ...pair, sockets });
      return pair.theirs;
    });
    const child = start(argv, {
      ...common(options),
      stdio: stdio as ["ignore", number, number],
      detached: options.detached === true,
    });
    const pipes = streams(pairs);
    return {
      ...{ pid: child.pid, exited: child.exited, pipes },
      kill: (signal) => child.kill(signal),
      unread: (number) => {
        const pair = pairs.get(number);
        return pair && pipes.get(number)?.destroyed === false ? unreadBytes(pair.ours) : 0;
      },
    };
  } catch (err) {
    for (const pair of pairs.values()) closeSync(pair.ours);
    throw err;
  } finally {
    for (const pair of pairs.values()) closeSync(pair.theirs);
  }
}

interface Pair extends FdPair {
  readonly sockets: boolean;
}

function streams(pairs: ReadonlyMap<number, Pair>): Map<number, Duplex> {
  const found = new Map<number, Duplex>();
  for (const [number, { ours, sockets }] of pairs) {
    if (sockets) found.set(number, socketStream(ours));
    else found.set(number, number === 0 ? pipeWriter(ours) : pipeReader(ours));
  }
  return found;
}

/** PATH comes along with an own environment, because Bun looks the program up in the environment that it is given. */
function common(options: Pick<RunOptions, "cwd" | "env">): { cwd?: string; env: Record<string, string | undefined> } {
  const env = options.env ? { PATH: process.env["PATH"], ...options.env } : process.env;
  return options.cwd === undefined ? { env } : { cwd: options.cwd, env };
}

function start<In extends Bun.Spawn.Writable, Out extends Bun.Spawn.Readable, Err extends Bun.Spawn.Readable>(
  argv: readonly string[],
  options: Bun.Spawn.SpawnOptions<In, Out, Err>,
): Bun.Subprocess<In, Out, Err> {
  const program = argv[0] ?? "";
  try {
    return Bun.spawn([...argv], options);
  } catch (err) {
    const path = options.env?.["PATH"];
    const there = program.includes("/")
      ? existsSync(program)
      : Bun.which(program, path === undefined ? {} : { PATH: path });
    if (!there) throw new EngineError("unavailable", missingProgram(program), { cause: err });
    throw new EngineError("internal", `Run ${program}: ${messageOf(err)}`, { cause: err });
  }
}
