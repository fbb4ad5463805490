import type { Duplex } from "node:stream";
import { EngineError } from "../errors/mod.ts";
import type { Child, Host } from "../host/mod.ts";
import type { Runtimes } from "./choice/runtimes.ts";
import { exitDirectory } from "./exits.ts";
import type { Paths } from "./paths.ts";
import type { JournalNames } from "./runtime.ts";
import type { TaskRecord } from "./tasks.ts";

export interface MonitorOptions {
  readonly record: TaskRecord;
  readonly terminal: boolean;
  readonly stdin: "none" | "once" | "open";
  readonly logPath?: string;
  /** The runtime must not get the host's /dev/null for a standard stream, see {@link ownNull}. */
  readonly keepsNull?: boolean;
  readonly journal?: JournalNames;
  /** For an exec: the process's file, and whether to wait for an attached client. */
  readonly exec?: { readonly processFile: string; readonly attach: boolean };
}

export interface MonitorParts {
  readonly host: Pick<Host, "processes">;
  readonly runtimes: Pick<Runtimes, "get">;
  readonly paths: Paths;
}

/** A conmon that runs, with the pipes it reports on. */
export interface Monitor {
  readonly child: Child;
  readonly sync: Lines;
  readonly attached?: Lines;
  /** conmon reads one byte from it before it starts, and one more when a client has attached. */
  readonly start: Duplex | undefined;
  readonly stderr: () => string;
  /** Closes our ends of the pipes. */
  readonly close: () => void;
}

/** What conmon says on its pipes: a pid (or 0), or a negative number and the runtime's message. */
export interface Report {
  readonly data: number;
  readonly message?: string;
}

/**
 * Spawns conmon for a task. With --sync it stays our child (and is reaped) instead of forking away, in a session of its
 * own, so it survives us all the same; its environment holds what it needs and nothing of the daemon's.
 */
export function spawnMonitor(parts: MonitorParts, options: MonitorOptions): Monitor {
  const attach = options.exec?.attach === true;
  const child = parts.host.processes.spawn(["conmon", ...monitorArgs(parts, options)], {
    cwd: options.record.directory,
    env: { _OCI_SYNCPIPE: "3", ...(attach ? { _OCI_STARTPIPE: "4", _OCI_ATTACHPIPE: "5" } : {}), TZ: "UTC" },
    stdio: ["ignore", "ignore", "pipe", "pipe", ...(attach ? (["pipe", "pipe"] as const) : [])],
    detached: true,
  });
  const stderr: string[] = [];
  child.pipes.get(2)?.on("data", (bytes) => stderr.push(String(bytes)));
  for (const pipe of child.pipes.values()) pipe.on("error", () => undefined); // whoever reads or writes it sees the end
  const attached = child.pipes.get(5);
  return {
    child,
    sync: new Lines(child.pipes.get(3)),
    ...(attached ? { attached: new Lines(attached) } : {}),
    start: child.pipes.get(4),
    stderr: () => stderr.join("").trim(),
    close() {
      for (const pipe of child.pipes.values()) pipe.destroy();
    },
  };
}

function monitorArgs({ runtimes, paths }: MonitorParts, options: MonitorOptions): string[] {
  const { record, exec } = options;
  const { cli } = runtimes.get(record.runtime);
  const { directory } = record;
  const flags = ["--sync", "--full-attach", "--no-sync-log"];
  if (options.terminal) flags.push("-t");
  if (options.stdin !== "none") flags.push("-i");
  if (options.stdin === "open") flags.push("--leave-stdin-open");
  if (exec) flags.push("-e", "--exec-process-spec", exec.processFile);
  if (exec?.attach) flags.push("--exec-attach");
  const values: Readonly<Record<string, string>> = {
    "--api-version": "1",
    "-c": record.containerId,
    "-u": record.id,
    "-n": options.journal?.name ?? record.id,
    "-r": options.keepsNull ? "/bin/sh" : cli.path,
    "-b": directory,
    "-p": `${directory}/pidfile`,
    "--exit-dir": exitDirectory(paths, record),
    "--persist-dir": directory,
    ...logValues(options),
    "--log-level": "warning",
  };
  const wrapped = options.keepsNull ? ["-c", ownNull, cli.path, ...cli.options] : cli.options;
  const runtime = wrapped.flatMap((option) => ["--runtime-arg", option]);
  return [...Object.entries(values).flat(), ...flags, ...runtime];
}

function logValues({ journal, logPath }: MonitorOptions): Record<string, string> {
  if (journal) return { "-l": "journald", "--log-tag": journal.tag };
  return { "-l": logPath === undefined ? "none" : `k8s-file:${logPath}` };
}

/**
 * crun gives a container's standard streams to the root of its user namespace, also /dev/null, which conmon takes for no
 * input and for all streams of one with a terminal: the host's own device would be that root's, to be locked for
 * everybody (seen with crun 1.8.1; runc passes it over). An empty file of the task's own takes its place.
 */
const ownNull = 'for n in 0 1 2; do [ ! /proc/self/fd/$n -ef /dev/null ] || eval "exec $n<>null"; done; exec "$0" "$@"';

/** JSON lines from a pipe, one asked for at a time. */
export class Lines {
  #text = "";
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(pipe: Duplex | undefined) {
    const wake = () => this.#wake?.();
    const end = () => {
      this.#ended = true;
      wake();
    };
    pipe?.on("data", (bytes) => {
      this.#text += String(bytes);
      wake();
    });
    pipe?.once("end", end).once("close", end).once("error", end);
  }

  /** The next line, or undefined at the end. */
  async next(): Promise<Report | undefined> {
    for (;;) {
      const at = this.#text.indexOf("\n");
      if (at >= 0) {
        const line = this.#text.slice(0, at);
        this.#text = this.#text.slice(at + 1);
        return JSON.parse(line) as Report;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Why conmon ended without a report. Its own stderr is of little help: it puts /dev/null in its place early. */
export async function silentEnd(monitor: Monitor): Promise<EngineError> {
  const code = await monitor.child.exited;
  return new EngineError(
    "unavailable",
    `conmon ended with code ${code} before it started anything: ${monitor.stderr()}`,
  );
}
