import { EngineError } from "../errors/mod.ts";
import type { IdRange } from "../host/mod.ts";
import { allowedCapabilities, capabilitySets } from "./capabilities.ts";
import { defaultMaskedPaths, defaultReadonlyPaths, mountsOf } from "./default-mounts.ts";
import { deviceRules, resourcesOf } from "./resources.ts";
import type { ProcessSpec, RuntimeSpec, SpecInput } from "./runtime.ts";
import { seccompOf } from "./seccomp.ts";

const initPath = "/sbin/docker-init";

/**
 * The OCI runtime spec that does what dockerd 28 would do with this input, cut down to what the host can give
 * (`input.limits`). Pure: the same input gives the same spec. Throws "invalid" for a bad seccomp profile or device rule.
 */
export function ociSpec(input: SpecInput): RuntimeSpec {
  const capabilities = allowedCapabilities(input);
  const mounts = mountsOf(input);
  return {
    ociVersion: "1.0.2",
    process: processOf(input, capabilities),
    root: { path: input.rootfs, readonly: input.readonlyRootfs },
    ...(input.namespaces.uts === "private" ? { hostname: input.hostname } : {}),
    mounts: input.init ? [...mounts, initMount(input.init)] : mounts,
    linux: linuxOf(input, capabilities),
    annotations: input.annotations,
  };
}

function processOf(input: SpecInput, capabilities: readonly string[]): ProcessSpec {
  const { process, limits } = input;
  const size = process.terminal ? process.size : undefined;
  return {
    terminal: process.terminal,
    ...(size ? { consoleSize: { height: size.rows, width: size.columns } } : {}),
    user: { uid: process.uid, gid: process.gid, additionalGids: process.additionalGids },
    args: input.init ? [initPath, "--", ...process.args] : process.args,
    env: process.env,
    cwd: process.cwd,
    capabilities: capabilitySets(capabilities, process.uid),
    rlimits: input.rlimits.map((rlimit) => clamp(rlimit, limits.rlimits)),
    noNewPrivileges: input.noNewPrivileges,
    oomScoreAdj: Math.max(input.oomScoreAdj, limits.oomScoreAdj),
    ...(limits.apparmor && input.apparmorProfile ? { apparmorProfile: input.apparmorProfile } : {}),
    ...(limits.selinux && input.selinuxLabel ? { selinuxLabel: input.selinuxLabel } : {}),
  };
}

/** -1 is no limit; it and what lies above the host's own hard limit become that limit, since raising it would be refused. */
function clamp(rlimit: SpecInput["rlimits"][number], limits: ReadonlyMap<string, number>) {
  const type = `RLIMIT_${rlimit.name.toUpperCase()}`;
  const most = limits.get(type) ?? Number.POSITIVE_INFINITY;
  const value = (asked: number) => Math.min(asked < 0 ? Number.POSITIVE_INFINITY : asked, most, unlimited);
  const hard = value(rlimit.hard);
  return { type, hard, soft: Math.min(value(rlimit.soft), hard) };
}

/** RLIM_INFINITY is 2^64-1, which a number cannot hold: `specText` writes 2^64 as 2^64-1. */
const unlimited = 2 ** 64;

/** The config.json or process.json of a spec. */
export function specText(spec: object): string {
  return JSON.stringify(spec).replaceAll(String(unlimited), "18446744073709551615");
}

function initMount(path: string): RuntimeSpec["mounts"][number] {
  return { destination: initPath, type: "bind", source: path, options: ["bind", "ro"] };
}

function linuxOf(input: SpecInput, capabilities: readonly string[]): RuntimeSpec["linux"] {
  const seccomp = seccompOf(input, capabilities);
  const resources = { ...resourcesOf(input.resources, input.limits), devices: deviceRules(input) };
  return {
    namespaces: namespacesOf(input.namespaces),
    cgroupsPath: input.cgroupPath,
    resources,
    devices: input.devices.map(deviceNode),
    sysctl: sysctlsOf(input),
    maskedPaths: input.privileged ? [] : (input.maskedPaths ?? defaultMaskedPaths),
    readonlyPaths: input.privileged ? [] : (input.readonlyPaths ?? defaultReadonlyPaths),
    ...(seccomp ? { seccomp } : {}),
    ...(input.idMap ? { uidMappings: mappings(input.idMap.uids), gidMappings: mappings(input.idMap.gids) } : {}),
    ...propagation(input.mounts),
  };
}

function namespacesOf(asked: SpecInput["namespaces"]): object[] {
  const kinds = { pid: asked.pid, ipc: asked.ipc, uts: asked.uts, network: asked.network, cgroup: asked.cgroup };
  // First, as whoever is in it makes the others: they belong to it.
  const joined = Object.entries({ user: asked.user ?? "host", ...kinds })
    .filter(([, how]) => how !== "host")
    .map(([type, how]) => (how === "private" || how === "none" ? { type } : { type, path: how }));
  return [{ type: "mount" }, ...joined];
}

/**
 * A domain name goes by sysctl as in moby, because runc 1.1 does not know the spec's field. The other two are moby's
 * defaults (`WithCommonOptions` in daemon/oci_linux.go) for a network of the container's own.
 */
function sysctlsOf(input: SpecInput): Record<string, string> {
  const network =
    input.namespaces.network === "host" || input.joinsNetwork
      ? {}
      : { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": `0 ${lastGroup(input)}` };
  const domain =
    input.domainname && input.namespaces.uts === "private" ? { "kernel.domainname": input.domainname } : {};
  return { ...network, ...domain, ...input.sysctls };
}

/** The kernel takes only groups that there are. */
function lastGroup({ idMap }: SpecInput): number {
  const first = idMap?.gids.find(({ inside }) => inside === 0);
  return idMap ? (first?.size ?? 1) - 1 : 2 ** 31 - 1;
}

function mappings(ranges: readonly IdRange[]): object[] {
  return ranges.map(({ inside, outside, size }) => ({ containerID: inside, hostID: outside, size }));
}

function deviceNode(device: SpecInput["devices"][number]): object {
  const { node } = device;
  if (!node) throw new EngineError("invalid", `The device ${device.hostPath} was not resolved`);
  const { type, major, minor, uid, gid } = node;
  return { path: device.containerPath, type, major, minor, fileMode: node.mode, uid, gid };
}

/** Mounts can pass to or from the host only when the root's own mount lets them through. */
function propagation(mounts: SpecInput["mounts"]): { rootfsPropagation?: string } {
  const options = new Set(mounts.flatMap((mount) => mount.options));
  if (options.has("shared") || options.has("rshared")) return { rootfsPropagation: "shared" };
  if (options.has("slave") || options.has("rslave")) return { rootfsPropagation: "slave" };
  return {};
}
