import { EngineError } from "../errors/mod.ts";
import type { Processes, RunResult } from "../host/mod.ts";
import type { RuntimeInfo } from "./runtime.ts";

export interface ListedContainer {
  readonly id: string;
  readonly pid: number;
  readonly status: string;
}

/** The OCI runtime's command line. Its environment is empty: it would hand NOTIFY_SOCKET and LISTEN_FDS on to containers. */
export class RuntimeCli {
  readonly #processes: Processes;
  /** What is executed: {@link RuntimeCli.run} and conmon take it as it is. */
  readonly path: string;
  /** Options in front of the command. */
  readonly options: readonly string[];

  constructor(
    processes: Processes,
    use: { info: Pick<RuntimeInfo, "name" | "path">; state: string; program?: string },
  ) {
    this.#processes = processes;
    this.path = use.program ?? use.info.path;
    const manager = use.info.name === "crun" ? ["--cgroup-manager=cgroupfs"] : [];
    this.options = ["--root", use.state, ...manager];
  }

  argv(...args: readonly string[]): string[] {
    return [this.path, ...this.options, ...args];
  }

  run(args: readonly string[], stdin?: string): Promise<RunResult> {
    return this.#processes.run(this.argv(...args), { env: {}, ...(stdin === undefined ? {} : { stdin }) });
  }

  /** Throws "not-found" when there is no such container or its process has ended, else "internal" with the runtime's words. */
  async must(args: readonly string[], stdin?: string): Promise<void> {
    const { code, stderr } = await this.run(args, stdin);
    if (code === 0) return;
    const said = stderr.trim();
    throw new EngineError(isGone(said) ? "not-found" : "internal", `${args[0]} container ${args.at(-1)}: ${said}`);
  }

  async list(): Promise<ListedContainer[]> {
    const { code, stdout, stderr } = await this.run(["list", "--format", "json"]);
    if (code !== 0) throw new EngineError("internal", `List containers: ${stderr.trim()}`);
    return (JSON.parse(stdout.trim() || "[]") as ListedContainer[] | null) ?? [];
  }
}

/** Both runtimes' words for a container that is not there or does not run. */
export function isGone(said: string): boolean {
  return /does not exist|container not running|container `[^`]*` is not running|No such process|not exist|\/status`: No such file|process already finished/.test(
    said,
  );
}
