import type { Host } from "../host/mod.ts";
import type { Log } from "../log/mod.ts";
import type { Policy } from "./apparmor/policy.ts";
import type { Runtimes } from "./choice/runtimes.ts";
import type { Exits } from "./exits.ts";
import type { Paths } from "./paths.ts";
import type { Tasks } from "./tasks.ts";

/** What the operations of the runtime share. */
export interface Parts {
  readonly host: Pick<Host, "processes" | "cgroups">;
  readonly log: Log;
  readonly runtimes: Runtimes;
  readonly policy: Policy;
  readonly paths: Paths;
  readonly tasks: Tasks;
  readonly exits: Exits;
  /** Containers that were paused through us. */
  readonly frozen: Set<string>;
}
