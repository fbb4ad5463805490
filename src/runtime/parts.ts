import type { Host } from "../host/mod.ts";
import type { Log } from "../log/mod.ts";
import type { RuntimeCli } from "./cli.ts";
import type { Exits } from "./exits.ts";
import type { Filters } from "./filters.ts";
import type { Paths } from "./paths.ts";
import type { RuntimeInfo } from "./runtime.ts";
import type { Tasks } from "./tasks.ts";

/** What the operations of the runtime share. */
export interface Parts {
  readonly host: Pick<Host, "processes" | "cgroups">;
  readonly log: Log;
  readonly info: RuntimeInfo;
  readonly cli: RuntimeCli;
  readonly paths: Paths;
  readonly tasks: Tasks;
  readonly exits: Exits;
  /** Containers that were paused through us. */
  readonly frozen: Set<string>;
  /** Undefined for runc, which compiles its own each time. */
  readonly filters: Filters | undefined;
}
