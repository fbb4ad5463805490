import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError, messageOf } from "../../errors/mod.ts";
import type { Host } from "../../host/mod.ts";
import type { Log } from "../../log/mod.ts";
import { isGone, RuntimeCli } from "../cli.ts";
import type { RuntimeInfo, RuntimeName } from "../runtime.ts";

export interface ProbeOptions {
  readonly host: Pick<Host, "processes" | "cgroups" | "mounts">;
  readonly log: Log;
  /** Below it the probe's cgroup is made, such as "/berth". */
  readonly cgroupParent: string;
  /** An empty directory of the probe's own. */
  readonly directory: string;
  /** Only this one; without it crun, and runc where crun cannot run. */
  readonly runtime?: RuntimeName;
}

/** In the order to be tried. */
export const runtimeNames: readonly RuntimeName[] = ["crun", "runc"];

/**
 * Chooses the OCI runtime by making a container with it: crun is more than twice as fast, but refuses some hosts. Throws
 * "unavailable", with every runtime's reason, when none works or conmon is missing.
 */
export async function chooseRuntime(options: ProbeOptions): Promise<RuntimeInfo> {
  const conmonVersion = await versionOf(options, "conmon");
  const candidates: readonly RuntimeName[] = options.runtime ? [options.runtime] : runtimeNames;
  const refusals: string[] = [];
  for (const name of candidates) {
    const refusal = await refusalOf(options, name);
    if (refusal !== undefined) {
      refusals.push(`${name}: ${refusal}`);
      options.log.warn("OCI runtime cannot be used", { runtime: name, reason: refusal });
      continue;
    }
    const first = options.runtime ? `${name} was asked for` : `${name} works here`;
    const reason = refusals.length > 0 ? `${first}; ${refusals.join("; ")}` : first;
    return { name, path: pathOf(name), version: await versionOf(options, name), conmonVersion, reason };
  }
  throw new EngineError("unavailable", `No OCI runtime works on this host: ${refusals.join("; ")}`);
}

/**
 * crun refuses a hybrid host whose v2 tree still offers controllers. What cgroupfs-mount does for all of them is done for
 * these only: a v1 hierarchy takes the controller out of the v2 tree. It changes the host, so it is logged, and
 * done only where the controller limits nobody: in no v1 hierarchy, and switched on for no v2 child.
 */
function releaseHybridControllers({ host, log }: ProbeOptions): void {
  if (host.cgroups.version !== "hybrid") return;
  const unified = "/sys/fs/cgroup/unified";
  const offered = words(join(unified, "cgroup.controllers"));
  const used = new Set(words(join(unified, "cgroup.subtree_control")));
  for (const controller of offered) {
    const target = join("/sys/fs/cgroup", controller);
    if (used.has(controller) || host.mounts.list().some((mount) => mount.target === target)) continue;
    try {
      mkdirSync(target, { recursive: true });
      host.mounts.mount({ type: "cgroup", source: "cgroup", options: [controller] }, target);
      log.info("Mounted a cgroup v1 hierarchy, because crun refuses controllers in a hybrid host's v2 tree", {
        controller,
      });
    } catch (err) {
      log.warn("Cannot mount a cgroup v1 hierarchy", { controller, error: messageOf(err) });
    }
  }
}

function words(file: string): string[] {
  return readFileSync(file, "utf8")
    .split(/\s+/)
    .filter((word) => word !== "");
}

async function versionOf({ host }: ProbeOptions, program: string): Promise<string> {
  const { stdout } = await host.processes.run([program, "--version"], { env: {} });
  return /version:?\s+(\S+)/.exec(stdout)?.[1] ?? "unknown";
}

/** Undefined where the host has none. */
export function programOf(name: RuntimeName): string | undefined {
  return Bun.which(name) ?? undefined;
}

function pathOf(name: RuntimeName): string {
  const path = programOf(name);
  if (path !== undefined) return path;
  throw new EngineError("unavailable", `The program ${name} is missing`);
}

/** Why the runtime cannot be used; undefined when it can. */
export async function refusalOf(options: ProbeOptions, name: RuntimeName): Promise<string | undefined> {
  try {
    if (name === "crun") releaseHybridControllers(options);
    await versionOf(options, name);
    return await makeContainer(options, name);
  } catch (err) {
    return messageOf(err);
  }
}

/**
 * A container out of an empty root: cgroups, namespaces and mounts are made before the runtime finds that there is no program
 * in it, so exactly that complaint is success, and nothing has to be run or cleaned up but the cgroup.
 */
async function makeContainer(options: ProbeOptions, name: RuntimeName): Promise<string | undefined> {
  const { directory, host, cgroupParent } = options;
  const cgroup = `${cgroupParent}/probe-${process.pid}`;
  mkdirSync(join(directory, "rootfs"), { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, "config.json"), JSON.stringify(probeSpec(join(directory, "rootfs"), cgroup)));
  const cli = new RuntimeCli(host.processes, { info: { name, path: pathOf(name) }, state: join(directory, "state") });
  try {
    const { stderr } = await cli.run(["create", "--bundle", directory, "probe"]);
    if (/\/berth-probe\b.*no such file or directory|\/berth-probe` not found/i.test(stderr)) return undefined;
    return stderr.trim() || "the probe's container was made without a program";
  } finally {
    const { stderr } = await cli.run(["delete", "--force", "probe"]);
    if (stderr !== "" && !isGone(stderr))
      options.log.warn("Cannot remove the probe's container", { error: stderr.trim() });
    host.cgroups.remove(cgroup);
    if (existsSync(directory)) rmSync(directory, { recursive: true, force: true });
  }
}

function probeSpec(rootfs: string, cgroup: string): object {
  return {
    ociVersion: "1.0.2",
    process: { user: { uid: 0, gid: 0 }, args: ["/berth-probe"], env: [], cwd: "/" },
    root: { path: rootfs },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] },
    ],
    linux: {
      cgroupsPath: cgroup,
      namespaces: ["mount", "pid", "ipc", "uts", "network"].map((type) => ({ type })),
      resources: { pids: { limit: 10 }, devices: [{ allow: false, access: "rwm" }] },
    },
  };
}
