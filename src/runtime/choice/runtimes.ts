import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { RuntimeCli } from "../cli.ts";
import { Filters } from "../filters.ts";
import type { Paths } from "../paths.ts";
import type { RuntimeInfo, RuntimeName } from "../runtime.ts";
import { type ProbeOptions, programOf, refusalOf, runtimeNames } from "./probe.ts";
import { runtimeProgram } from "./program.ts";

/** One OCI runtime, with a state directory of its own: crun and runc do not read each other's. */
export interface OciRuntime {
  readonly name: RuntimeName;
  readonly path: string;
  readonly cli: RuntimeCli;
  readonly state: string;
  /** Undefined for runc, which compiles its own each time. */
  readonly filters: Filters | undefined;
}

/** Every OCI runtime that this host has; a container keeps the one that it was created with. */
export class Runtimes {
  readonly #options: Omit<ProbeOptions, "runtime">;
  readonly #found = new Map<RuntimeName, OciRuntime>();
  /** Why it cannot be used, once somebody wanted to know. */
  readonly #probed = new Map<RuntimeName, Promise<string | undefined>>();
  readonly info: RuntimeInfo;

  private constructor(options: Omit<ProbeOptions, "runtime">, info: RuntimeInfo) {
    this.#options = options;
    this.info = info;
    this.#probed.set(info.name, Promise.resolve(undefined));
  }

  static async open(
    options: Omit<ProbeOptions, "runtime">,
    { info, paths }: { info: RuntimeInfo; paths: Pick<Paths, "state" | "programs"> },
  ): Promise<Runtimes> {
    const runtimes = new Runtimes(options, info);
    for (const name of runtimeNames) {
      const path = name === info.name ? info.path : programOf(name);
      if (path !== undefined) runtimes.#found.set(name, await makeRuntime(options, { name, path, paths }));
    }
    return runtimes;
  }

  /** The default one first. */
  all(): OciRuntime[] {
    return [...this.#found.values()].sort((one, other) => this.#rank(one) - this.#rank(other));
  }

  /** Those that may know containers of an earlier daemon. */
  inUse(): OciRuntime[] {
    return this.all().filter(({ state }) => existsSync(state) && readdirSync(state).length > 0);
  }

  /** Undefined is the default one. Throws "invalid" in Docker's words for one that is not there. */
  get(name: RuntimeName = this.info.name): OciRuntime {
    const runtime = this.#found.get(name);
    if (runtime) return runtime;
    throw new EngineError("invalid", `unknown or invalid runtime name: ${name}`);
  }

  /** The same, once it is known to work here. Throws "unavailable" with its reason where it does not. */
  async usable(name?: RuntimeName): Promise<OciRuntime> {
    const runtime = this.get(name);
    const probe = this.#probed.get(runtime.name) ?? refusalOf(this.#options, runtime.name);
    this.#probed.set(runtime.name, probe);
    const refusal = await probe;
    if (refusal === undefined) return runtime;
    throw new EngineError("unavailable", `The OCI runtime ${runtime.name} does not work on this host: ${refusal}`);
  }

  #rank({ name }: OciRuntime): number {
    return name === this.info.name ? 0 : 1;
  }
}

async function makeRuntime(
  { host }: Pick<ProbeOptions, "host">,
  { name, path, paths }: { name: RuntimeName; path: string; paths: Pick<Paths, "state" | "programs"> },
): Promise<OciRuntime> {
  const state = join(paths.state, name);
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const program = await runtimeProgram(host, { name, path, link: join(paths.programs, name) });
  const cli = new RuntimeCli(host.processes, { info: { name, path }, state, program });
  return { name, path, cli, state, filters: name === "crun" ? new Filters() : undefined };
}
