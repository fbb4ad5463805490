import { mkdirSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import type { Host } from "../host/mod.ts";
import type { Log } from "../log/mod.ts";
import { Policy } from "./apparmor/policy.ts";
import { migrateState } from "./choice/earlier.ts";
import { chooseRuntime } from "./choice/probe.ts";
import { Runtimes } from "./choice/runtimes.ts";
import type { RuntimeCli } from "./cli.ts";
import { controlNow, reopenLog } from "./control.ts";
import { create } from "./create.ts";
import { deleteContainer, deleteExec } from "./delete.ts";
import { exec } from "./exec/exec.ts";
import { execOnce } from "./exec/once.ts";
import { Exits } from "./exits.ts";
import type { Parts } from "./parts.ts";
import { pathsOf } from "./paths.ts";
import { recover } from "./recover.ts";
import { runOnce } from "./run-once.ts";
import type { LimitChange, Runtime, RuntimeName } from "./runtime.ts";
import { start } from "./start.ts";
import { openStreams } from "./streams.ts";
import { type LiveTask, Tasks } from "./tasks.ts";

export interface RuntimeOptions {
  readonly host: Pick<Host, "processes" | "cgroups" | "mounts">;
  readonly log: Log;
  /** The runtime's own directory; what is in it is what `recover` finds. At best on a tmpfs, which a reboot empties. */
  readonly execRoot: string;
  /** Where the probe makes its cgroup, such as "/berth"; containers name theirs in their specs. */
  readonly cgroupParent: string;
  /** The default one; without it crun, and runc where crun cannot run. */
  readonly runtime?: RuntimeName;
}

/** Chooses the OCI runtime by a probe and opens its directory. Throws "unavailable" when this host has none that works, or no conmon. */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { host, log, execRoot, cgroupParent, runtime } = options;
  const paths = pathsOf(execRoot);
  for (const directory of [paths.state, paths.exits, paths.tasks, paths.programs])
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  const probe = { host, log, cgroupParent, directory: paths.probe };
  const info = await chooseRuntime({ ...probe, ...(runtime ? { runtime } : {}) });
  log.info("OCI runtime chosen", { runtime: info.name, version: info.version, reason: info.reason });
  const policy = new Policy({ processes: host.processes, log, marker: paths.apparmor });
  await policy.open();
  const tasks = new Tasks(paths.tasks);
  migrateState(paths, tasks);
  const runtimes = await Runtimes.open(probe, { info, paths });
  return runtimeOf({ host, log, runtimes, policy, paths, tasks, exits: new Exits(), frozen: new Set() });
}

function runtimeOf(parts: Parts): Runtime {
  const { runtimes, policy, tasks, frozen } = parts;
  return {
    info: runtimes.info,
    apparmor: { enabled: policy.enabled, ...(policy.profile !== undefined && { profile: policy.profile }) },
    all: runtimes.all().map(({ name, path }) => ({ name, path })),
    require: async (name) => void (await runtimes.usable(name)),
    expect: () => parts.host.cgroups.expectMove(),
    create: (bundle) => create(parts, bundle),
    start: (id) => start(parts, id),
    signal: (id, signal, scope) => sendSignal(parts, { id, signal, scope }),
    async freeze(id, freeze) {
      await cliOf(parts, id).must([freeze ? "pause" : "resume", id]);
      if (freeze) frozen.add(id);
      else frozen.delete(id);
    },
    limit: (id, change) => limit(parts, id, change),
    exec: (request) => exec(parts, request),
    attach: async (id) => openStreams(parts.host, tasks.get(id).record.directory),
    resize: async (id, size) => resize(tasks.get(id), size),
    delete: (id) => deleteContainer(parts, id),
    deleteExec: (id) => deleteExec(parts, id),
    exits: (signal) => parts.exits.listen(signal),
    recover: () => recover(parts),
    reopenLog: async (id, needed) => reopenLog(tasks.get(id), needed),
    runOnce: (bundle, io) => runOnce(parts, bundle, io),
    execOnce: (request, io) => execOnce(parts, request, io),
  };
}

async function resize(task: LiveTask, size: { readonly rows: number; readonly columns: number }): Promise<void> {
  if (task.resize) task.resize(size);
  else await controlNow(task, `1 ${size.rows} ${size.columns}`);
}

/** crun leaves a frozen container frozen after SIGKILL (v1 cgroups), where runc thaws it to let it die. */
async function sendSignal(parts: Parts, send: { id: string; signal: number; scope: "init" | "all" }): Promise<void> {
  const { frozen } = parts;
  const cli = cliOf(parts, send.id);
  if (!Number.isInteger(send.signal) || send.signal < 1 || send.signal > 64) {
    throw new EngineError("invalid", `Invalid signal: ${send.signal}`);
  }
  await cli.must(["kill", ...(send.scope === "all" ? ["--all"] : []), send.id, String(send.signal)]);
  if (send.signal === 9 && frozen.delete(send.id)) await cli.run(["resume", send.id]);
}

/** Of the runtime that the container was made with. Throws "not-found". */
function cliOf({ runtimes, tasks }: Parts, id: string): RuntimeCli {
  return runtimes.get(tasks.get(id).record.runtime).cli;
}

/** The runtimes stop at the first value that the kernel refuses, and leave what they had set before it. */
async function limit(parts: Parts, id: string, { resources, lift }: LimitChange): Promise<void> {
  const { cgroup = "" } = parts.tasks.get(id).record;
  const { cgroups } = parts.host;
  const before = cgroups.limits(cgroup);
  try {
    if (Object.keys(resources).length > 0)
      await cliOf(parts, id).must(["update", "--resources", "/dev/stdin", id], JSON.stringify(resources));
    for (const one of lift) cgroups.lift(cgroup, one);
  } catch (err) {
    try {
      cgroups.restore(cgroup, before);
    } catch (left) {
      parts.log.warn("Cannot put back a container's limits", { container: id, error: left });
    }
    throw err;
  }
}
