import { existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Paths } from "../paths.ts";
import type { RuntimeName } from "../runtime.ts";
import type { TaskRecord, Tasks } from "../tasks.ts";
import { runtimeNames } from "./probe.ts";

/** By which a runtime's state of a container is known to be its own. */
const stateFile = { crun: "status", runc: "state.json" } as const satisfies Record<RuntimeName, string>;

/**
 * Brings what an earlier version left running to where it is looked for today: it knew one OCI runtime, whose state of each
 * container lay in `state` itself, and its records named none. Every step is one rename, and a crash between them loses nothing.
 */
export function migrateState(paths: Pick<Paths, "state" | "tasks">, tasks: Tasks): void {
  for (const id of readdirSync(paths.state)) {
    const owner = runtimeNames.find((name) => existsSync(join(paths.state, id, stateFile[name])));
    if (owner === undefined) continue;
    mkdirSync(join(paths.state, owner), { recursive: true, mode: 0o700 });
    renameSync(join(paths.state, id), join(paths.state, owner, id));
  }
  for (const file of readdirSync(paths.tasks)) {
    const record: Earlier | undefined = tasks.read(file);
    if (record && record.runtime === undefined) tasks.record({ ...record, runtime: ownerOf(paths, record) });
  }
}

type Earlier = Omit<TaskRecord, "runtime"> & { readonly runtime?: RuntimeName };

/** One that is gone from the kernel was of either; its record is all that is left of it, and any runtime can say that. */
function ownerOf(paths: Pick<Paths, "state">, { containerId }: Earlier): RuntimeName {
  return runtimeNames.find((name) => existsSync(join(paths.state, name, containerId))) ?? "crun";
}
