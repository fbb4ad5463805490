import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";

/** The runtime's own directories below the execution root. */
export interface Paths {
  /** The OCI runtime's state, one directory a container. */
  readonly state: string;
  /** Where conmon leaves the exit codes of containers, by id. */
  readonly exits: string;
  /** One JSON record a task, written before anything is started. */
  readonly tasks: string;
  /** Spec directories of processes without a monitor. */
  readonly probe: string;
  /** Names of the runtimes' sealed copies. */
  readonly programs: string;
  /** The AppArmor profile that was loaded last. */
  readonly apparmor: string;
}

export function pathsOf(execRoot: string): Paths {
  return {
    state: join(execRoot, "state"),
    exits: join(execRoot, "exits"),
    tasks: join(execRoot, "tasks"),
    probe: join(execRoot, "probe"),
    programs: join(execRoot, "programs"),
    apparmor: join(execRoot, "apparmor-profile"),
  };
}

/** Ids become file names and arguments. Throws "invalid". */
export function checkedId(id: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(id)) return id;
  throw new EngineError("invalid", `Bad id ${JSON.stringify(id)}`);
}
