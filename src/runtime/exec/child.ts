import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EngineError } from "../../errors/mod.ts";
import type { Child, SpawnOptions } from "../../host/mod.ts";
import { startError } from "../failure.ts";
import type { Parts } from "../parts.ts";
import type { ProcessSpec } from "../runtime.ts";
import { lastError } from "../runtime-log.ts";
import { specText } from "../spec.ts";

export interface ExecOrder {
  readonly containerId: string;
  /** For the runtime's files; it is there. */
  readonly directory: string;
  readonly process: ProcessSpec;
  /** Where the runtime says the process's pid. */
  readonly pidFile: string;
  readonly stdio: SpawnOptions["stdio"];
  /** A terminal is sent there. */
  readonly consoleSocket?: string;
}

/** An OCI runtime's `exec` that is our own child: it waits for the process and ends with its exit code. */
export interface ExecChild {
  readonly child: Child;
  /** What the runtime had to complain about, once it has ended; undefined when it was nothing. */
  complaint(): EngineError | undefined;
}

/**
 * Starts a process in a container without a conmon, in a session of its own, so that it outlives us; its streams do not. The
 * sealed copy of the runtime and a move between cgroups that need not wait ({@link Cgroups.expectMove}) make it fast.
 */
export async function startExec(parts: Parts, order: ExecOrder): Promise<ExecChild> {
  const { containerId, directory, process } = order;
  const processFile = writeProcess(directory, process);
  const log = join(directory, "runtime.log");
  rmSync(log, { force: true });
  const { cli } = parts.runtimes.get(parts.tasks.get(containerId).record.runtime);
  const socket = order.consoleSocket === undefined ? [] : ["--console-socket", order.consoleSocket];
  const files = ["--pid-file", order.pidFile, "--process", processFile, ...socket];
  const argv = cli.argv("--log", log, "--log-format", "json", "exec", ...files, containerId);
  const { processes } = parts.host;
  const options = { cwd: directory, env: {}, detached: true, stdio: order.stdio };
  const child = processes.spawn(process.terminal ? await processes.urgent(argv) : argv, options);
  for (const pipe of child.pipes.values()) pipe.on("error", () => undefined); // whoever reads or writes it sees the end
  const complaint = () => {
    const said = lastError(log);
    return said === undefined ? undefined : startError({ said, program: process.args[0] ?? "", kind: "exec" });
  };
  return { child, complaint };
}

/**
 * The OCI process, as the runtime reads it. Without a turn of the event loop: an exec is short, and a small file in memory, as
 * a rule, takes less time than to wait for it.
 */
export function writeProcess(directory: string, process: ProcessSpec): string {
  const file = join(directory, "process.json");
  writeFileSync(file, specText(process), { mode: 0o600 });
  return file;
}
