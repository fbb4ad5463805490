import { isIP } from "node:net";
import { cpus } from "node:os";
import { EngineError } from "../errors/mod.ts";
import { requireExtraHosts } from "../rootfs/mod.ts";
import type { HostLimits } from "../runtime/mod.ts";
import type { ContainerConfig, ContainerCreateBody, HostConfig } from "../wire/mod.ts";
import { checkHealth } from "./health/plan.ts";
import { checkLinks } from "./links/settle.ts";
import { networkModeOf } from "./modes.ts";
import { checkProcess, settleResources } from "./resources/check.ts";
import { parseSecurity, securityWarnings } from "./security.ts";
import { signalNumber } from "./signals.ts";

export interface Validated {
  readonly hostConfig: HostConfig;
  /** For the answer. */
  readonly warnings: readonly string[];
}

/**
 * Checks what a user asked for before anything is done about it; what this host cannot limit is taken out, with a warning.
 * Throws "invalid" in Docker's words, "not-implemented" naming what is not built: nothing is ignored in silence.
 */
export function validate(body: ContainerCreateBody, limits: HostLimits): Validated {
  const { config, hostConfig } = body;
  checkTexts({ ...hostConfig, NetworkingConfig: body.endpoints });
  checkConfig(config);
  for (const entry of config.Env) {
    if (entry === "" || entry.startsWith("=")) throw invalid(`invalid environment variable: ${entry}`);
  }
  refuseUnbuilt(hostConfig);
  checkModes(config, hostConfig);
  checkRestart(hostConfig);
  checkCapabilities(hostConfig);
  checkPorts(hostConfig);
  checkNames(hostConfig);
  checkLinks(body);
  checkSysctls(hostConfig);
  parseSecurity(hostConfig);
  checkHealth(config.Healthcheck);
  checkProcess(hostConfig);
  checkCgroupParent(hostConfig);
  const settled = settleResources(hostConfig, { controls: limits.controls, cpuCount: cpus().length });
  const told = [...settled.warnings, ...warnings(body), ...hostWarnings(hostConfig, limits)];
  return { hostConfig: settled.resources, warnings: told };
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}

/** Also for a configuration that an image had a part in. Throws "invalid". */
export function checkConfig(config: ContainerConfig): void {
  checkTexts(config);
  if (config.WorkingDir !== "" && !config.WorkingDir.startsWith("/")) {
    throw invalid(`the working directory '${config.WorkingDir}' is invalid, it needs to be an absolute path`);
  }
  if (config.StopSignal) signalNumber(config.StopSignal);
  if ((config.StopTimeout ?? 0) < -1) throw invalid(`invalid stop timeout: ${config.StopTimeout}`);
  if (config.WorkingDir.length > 4095 || config.WorkingDir.split("/").some((name) => Buffer.byteLength(name) > 255)) {
    throw invalid("the working directory is invalid: its name is too long"); // path_resolution(7)
  }
  checkHostname("hostname", config.Hostname);
  checkHostname("domainname", config.Domainname);
}

/** They get into files of lines (hosts, hostname), and the kernel takes 64 bytes (uname(2)). */
function checkHostname(what: string, name: string): void {
  if (/[\s\x00-\x1f\x7f]/.test(name)) throw invalid(`invalid ${what}: ${JSON.stringify(name)} has white space in it`);
  if (Buffer.byteLength(name) > 64) throw invalid(`invalid ${what}: ${name} is longer than 64 characters`);
}

/**
 * The kernel ends texts at a NUL byte: what comes after it would be lost in silence. Looks into lists and objects, their keys,
 * too. Throws "invalid" naming the field.
 */
export function checkTexts(fields: object): void {
  for (const [name, value] of Object.entries(fields)) {
    if (holdsNul(value)) throw invalid(`${name} must not hold a NUL byte`);
  }
}

function holdsNul(value: unknown): boolean {
  if (typeof value === "string") return value.includes("\0");
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, inner]) => key.includes("\0") || holdsNul(inner));
}

/** Asked for and not there: refused by name. */
function refuseUnbuilt(host: HostConfig): void {
  const absent: Readonly<Record<string, boolean>> = {
    Cgroup: host.Cgroup !== "",
  };
  for (const [name, asked] of Object.entries(absent)) {
    if (asked) throw new EngineError("not-implemented", `${name} is not implemented`);
  }
  for (const request of host.DeviceRequests ?? []) throw invalid(noDriver(request));
  if (host.Isolation && host.Isolation !== "default") {
    throw invalid(`invalid isolation '${host.Isolation}' on linux: only 'default' is supported`);
  }
  if (Object.keys(host.StorageOpt ?? {}).length > 0) {
    throw invalid("--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
  }
}

/** Berth has no device drivers; the words are moby's (`daemon/devices.go`). */
function noDriver(request: unknown): string {
  const { Driver, Capabilities } = (request ?? {}) as { Driver?: unknown; Capabilities?: unknown };
  const sets = Array.isArray(Capabilities) ? Capabilities : [];
  const listed = sets.map((set) => `[${Array.isArray(set) ? set.join(" ") : ""}]`).join(" ");
  return `could not select device driver ${JSON.stringify(Driver ?? "")} with capabilities: [${listed}]`;
}

/** systemd would not know of a slice that is made behind its back. */
function checkCgroupParent({ CgroupParent }: HostConfig): void {
  if (!/^[^/]+\.slice$/.test(CgroupParent)) return;
  const what = `cgroup-parent ${CgroupParent} is a systemd slice, and Berth's cgroup driver is cgroupfs`;
  throw invalid(`${what}: give a path such as /${CgroupParent.replace(/\.slice$/, "")}`);
}

function checkModes(config: ContainerConfig, host: HostConfig): void {
  if (!/^(private|host|container:.+)?$/.test(host.PidMode)) throw invalid(`invalid PID mode: ${host.PidMode}`);
  if (!/^(private|shareable|host|none|container:.+)?$/.test(host.IpcMode)) {
    throw invalid(`invalid IPC mode: ${host.IpcMode}`);
  }
  if (!/^(private|host)?$/.test(host.UTSMode)) throw invalid(`invalid UTS mode: ${host.UTSMode}`);
  if (!/^(private|host)?$/.test(host.CgroupnsMode)) {
    throw invalid(`invalid cgroup namespace mode: ${host.CgroupnsMode}`);
  }
  if (host.UTSMode === "host" && config.Hostname !== "") {
    throw invalid("conflicting options: hostname and the UTS mode");
  }
  if (host.UTSMode === "host" && config.Domainname !== "") {
    throw invalid("conflicting options: domainname and the UTS mode");
  }
  if (networkModeOf(host.NetworkMode).kind === "container") checkSharedNetwork(config, host);
}

function checkSharedNetwork(config: ContainerConfig, host: HostConfig): void {
  const conflicts: Readonly<Record<string, boolean>> = {
    "hostname and the network mode": config.Hostname !== "",
    "dns and the network mode": filled(host.Dns),
    "custom host-to-IP mapping and the network mode": filled(host.ExtraHosts),
    "mac-address and the network mode": Boolean(config.MacAddress),
    "port publishing and the container type network mode":
      Object.keys(host.PortBindings).length > 0 || host.PublishAllPorts,
    "port exposing and the container type network mode": Object.keys(config.ExposedPorts ?? {}).length > 0,
  };
  for (const [what, conflict] of Object.entries(conflicts)) {
    if (conflict) throw invalid(`conflicting options: ${what}`);
  }
}

/** Throws "invalid" for a policy that Docker does not know. */
export function checkRestart(host: Pick<HostConfig, "RestartPolicy" | "AutoRemove">): void {
  const { Name, MaximumRetryCount = 0 } = host.RestartPolicy;
  if (!["", "no", "always", "unless-stopped", "on-failure"].includes(Name)) {
    const known = "use one of 'no', 'always', 'on-failure', or 'unless-stopped'";
    throw invalid(`invalid restart policy: unknown policy '${Name}'; ${known}`);
  }
  if (MaximumRetryCount < 0) throw invalid("invalid restart policy: maximum retry count cannot be negative");
  if (MaximumRetryCount > 0 && Name !== "on-failure") {
    throw invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'");
  }
  if (host.AutoRemove && Name !== "" && Name !== "no") {
    throw invalid("can't create 'AutoRemove' container with restart policy");
  }
}

const capabilities = new Set(
  "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM ALL".split(
    " ",
  ),
);

/** A capability in the form that the spec builder takes: upper case, without CAP_. */
export function capability(name: string): string {
  return name.toUpperCase().replace(/^CAP_/, "");
}

function checkCapabilities(host: HostConfig): void {
  for (const list of ["CapAdd", "CapDrop"] as const) {
    for (const name of host[list] ?? []) {
      if (!capabilities.has(capability(name))) {
        throw invalid(`invalid ${list}: unknown capability: "CAP_${capability(name)}"`);
      }
    }
  }
}

/** Throws "invalid" for ports that cannot be. */
export function checkPorts(host: Pick<HostConfig, "PortBindings">): void {
  for (const [port, bindings] of Object.entries(host.PortBindings)) {
    const [, low, , proto = "tcp"] = /^(\d{1,5})(-\d{1,5})?(?:\/(.*))?$/.exec(port) ?? [];
    if (!low || Number(low) < 1 || Number(low) > 65535) throw invalid(`invalid port specification: "${port}"`);
    if (!["tcp", "udp", "sctp"].includes(proto.toLowerCase())) throw invalid(`invalid protocol: ${proto}`);
    for (const { HostIp, HostPort } of bindings ?? []) {
      const [, from = "0", to = from] = /^(\d{0,5})(?:-(\d{1,5}))?$/.exec(HostPort) ?? ["", "x"];
      if (!(Number(from) <= Number(to) && Number(to) <= 65535)) {
        throw invalid(`invalid port specification: "${HostPort}"`);
      }
      if (HostIp !== "" && isIP(HostIp) === 0) throw invalid(`invalid IP address: ${HostIp}`);
    }
  }
}

function checkNames(host: HostConfig): void {
  for (const server of host.Dns ?? []) {
    if (isIP(server.split("%")[0] ?? "") === 0) throw invalid(`invalid DNS address: ${server}`);
  }
  for (const word of [...(host.DnsSearch ?? []), ...(host.DnsOptions ?? [])]) {
    if (/\s/.test(word)) throw invalid(`invalid DNS search domain or option: ${JSON.stringify(word)}`);
  }
  requireExtraHosts(host.ExtraHosts ?? []);
}

/** Only what a namespace keeps apart may be set (runc's `validateSysctl`): anything else would change the host. */
function checkSysctls(host: HostConfig): void {
  const ipc = /^(kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)$/;
  for (const key of Object.keys(host.Sysctls ?? {})) {
    if (key.startsWith("net.")) {
      if (host.NetworkMode !== "host") continue;
      throw invalid(`sysctl '${key}' not allowed with host network`);
    }
    if (!ipc.test(key)) throw invalid(`sysctl "${key}" is not in a separate kernel namespace`);
    if (host.IpcMode === "host") throw invalid(`sysctl "${key}" is not allowed in the hosts ipc namespace`);
  }
}

function warnings({ hostConfig }: ContainerCreateBody): string[] {
  const found: string[] = [];
  if (hostConfig.NetworkMode === "host" && Object.keys(hostConfig.PortBindings).length > 0) {
    found.push("Published ports are discarded when using host network mode");
  }
  return found;
}

/** What this host cannot give is left out of the spec, which the user is told. */
function hostWarnings(host: HostConfig, limits: HostLimits): string[] {
  const found: string[] = [];
  if (host.Privileged && !limits.capabilities.has("CAP_SYS_ADMIN")) found.push(lacks("CAP_SYS_ADMIN"));
  if (host.Privileged && !limits.capabilities.has("CAP_SYS_RESOURCE")) found.push(lacks("CAP_SYS_RESOURCE"));
  for (const { Name, Hard } of host.Ulimits ?? []) {
    const most = limits.rlimits.get(`RLIMIT_${Name.toUpperCase()}`) ?? Number.POSITIVE_INFINITY;
    if (Hard > most || (Hard < 0 && Number.isFinite(most))) {
      found.push(`The ulimit ${Name} is lowered to ${most}, the hard limit of this host`);
    }
  }
  if (host.OomScoreAdj < limits.oomScoreAdj)
    found.push(`OomScoreAdj is raised to ${limits.oomScoreAdj}, the daemon's own`);
  if (host.CgroupnsMode === "private" && !limits.controls.namespaces) {
    found.push("Your kernel does not support cgroup namespaces.  Cgroup namespace setting discarded.");
  }
  return [...found, ...securityWarnings(host, limits)];
}

function lacks(capability: string): string {
  return `A privileged container gets what this daemon has, which is without ${capability}`;
}

function filled(list: readonly unknown[] | null): boolean {
  return list !== null && list.length > 0;
}
