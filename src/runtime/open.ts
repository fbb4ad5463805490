import { mkdirSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import type { Host } from "../host/mod.ts";
import type { Log } from "../log/mod.ts";
import { RuntimeCli } from "./cli.ts";
import { controlNow } from "./control.ts";
import { create, exec } from "./create.ts";
import { deleteContainer, deleteExec } from "./delete.ts";
import { Exits } from "./exits.ts";
import { Filters } from "./filters.ts";
import type { Parts } from "./parts.ts";
import { pathsOf } from "./paths.ts";
import { chooseRuntime } from "./probe.ts";
import { recover } from "./recover.ts";
import { runOnce } from "./run-once.ts";
import type { Runtime } from "./runtime.ts";
import { openStreams } from "./streams.ts";
import { Tasks } from "./tasks.ts";

export interface RuntimeOptions {
  readonly host: Pick<Host, "processes" | "cgroups" | "mounts">;
  readonly log: Log;
  /** The runtime's own directory; what is in it is what `recover` finds. At best on a tmpfs, which a reboot empties. */
  readonly execRoot: string;
  /** Where the probe makes its cgroup, such as "/berth"; containers name theirs in their specs. */
  readonly cgroupParent: string;
  /** Only this one. */
  readonly runtime?: "crun" | "runc";
}

/** Chooses the OCI runtime by a probe and opens its directory. Throws "unavailable" when this host has none that works, or no conmon. */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { host, log, execRoot, cgroupParent, runtime } = options;
  const paths = pathsOf(execRoot);
  for (const directory of [paths.state, paths.exits, paths.tasks])
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  const probe = { host, log, cgroupParent, directory: paths.probe, ...(runtime ? { runtime } : {}) };
  const info = await chooseRuntime(probe);
  log.info("OCI runtime chosen", { runtime: info.name, version: info.version, reason: info.reason });
  const cli = new RuntimeCli(host.processes, { info, state: paths.state });
  const filters = info.name === "crun" ? new Filters() : undefined;
  const tasks = new Tasks(paths.tasks);
  return runtimeOf({ host, log, info, cli, paths, tasks, exits: new Exits(), frozen: new Set(), filters });
}

function runtimeOf(parts: Parts): Runtime {
  const { cli, tasks, frozen } = parts;
  return {
    info: parts.info,
    create: (bundle) => create(parts, bundle),
    start: async (id) => cli.must(["start", tasks.get(id).record.id]),
    signal: (id, signal, scope) => sendSignal(parts, { id, signal, scope }),
    async freeze(id, freeze) {
      await cli.must([freeze ? "pause" : "resume", tasks.get(id).record.id]);
      if (freeze) frozen.add(id);
      else frozen.delete(id);
    },
    limit: async (id, resources) =>
      cli.must(["update", "--resources", "/dev/stdin", tasks.get(id).record.id], JSON.stringify(resources)),
    exec: (request) => exec(parts, request),
    attach: async (id) => openStreams(parts.host, tasks.get(id).record.directory),
    resize: async (id, size) => controlNow(tasks.get(id), `1 ${size.rows} ${size.columns}`),
    delete: (id) => deleteContainer(parts, id),
    deleteExec: (id) => deleteExec(parts, id),
    exits: (signal) => parts.exits.listen(signal),
    recover: () => recover(parts),
    reopenLog: async (id) => controlNow(tasks.get(id), "2 0 0"),
    runOnce: (bundle, io) => runOnce(parts, bundle, io),
  };
}

/** crun leaves a frozen container frozen after SIGKILL (v1 cgroups), where runc thaws it to let it die. */
async function sendSignal(parts: Parts, send: { id: string; signal: number; scope: "init" | "all" }): Promise<void> {
  const { cli, tasks, frozen } = parts;
  const { record } = tasks.get(send.id);
  if (!Number.isInteger(send.signal) || send.signal < 1 || send.signal > 64) {
    throw new EngineError("invalid", `Invalid signal: ${send.signal}`);
  }
  await cli.must(["kill", ...(send.scope === "all" ? ["--all"] : []), record.id, String(send.signal)]);
  if (send.signal === 9 && frozen.delete(send.id)) await cli.run(["resume", record.id]);
}
