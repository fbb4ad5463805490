import { bool, choice, integer, list, listOf, parseBytes, parseUlimit, text, value } from "../../flags/mod.ts";
import { parseByteRate, parseDeviceWeight, parseOperationRate, parseWeight } from "./devices.ts";
import {
  parseDeviceRule,
  parseGpus,
  parseLabel,
  parseNameServer,
  parseSearchDomain,
  parseStream,
  parseSysctl,
} from "./isolation-values.ts";
import { parseMount } from "./mounts.ts";
import { parseNetwork } from "./networks.ts";
import { parseCpus, parseEnvironment, parseExtraHost, parseNanoseconds, parseSwap } from "./values.ts";

const bytes = (help: string, short?: string) =>
  value(help, { ...(short && { short }), placeholder: "bytes", parse: parseBytes, initial: 0 });
const duration = (help: string) => value(help, { placeholder: "duration", parse: parseNanoseconds, initial: 0 });

/** Limits that `create`, `run`, `update` and `build` share. */
export const cpuFlags = {
  "cpu-period": integer("Limit CPU CFS (Completely Fair Scheduler) period"),
  "cpu-quota": integer("Limit CPU CFS (Completely Fair Scheduler) quota"),
  "cpu-shares": integer("CPU shares (relative weight)", { short: "c" }),
  "cpuset-cpus": text("CPUs in which to allow execution (0-3, 0,1)"),
  "cpuset-mems": text("MEMs in which to allow execution (0-3, 0,1)"),
  memory: bytes("Memory limit", "m"),
  "memory-swap": value("Swap limit equal to memory plus swap: '-1' to enable unlimited swap", {
    placeholder: "bytes",
    parse: parseSwap,
    initial: 0,
  }),
};

/** Limits that `create`, `run` and `update` share. */
export const limitFlags = {
  ...cpuFlags,
  "blkio-weight": value("Block IO (relative weight), between 10 and 1000, or 0 to disable", {
    placeholder: "uint16",
    parse: parseWeight,
    initial: 0,
  }),
  "cpu-rt-period": integer("Limit CPU real-time period in microseconds"),
  "cpu-rt-runtime": integer("Limit CPU real-time runtime in microseconds"),
  cpus: value("Number of CPUs", { placeholder: "decimal", parse: parseCpus, initial: 0 }),
  "memory-reservation": bytes("Memory soft limit"),
  "pids-limit": integer("Tune container pids limit (set -1 for unlimited)"),
};

const resourceFlags = {
  ...limitFlags,
  "blkio-weight-device": listOf("Block IO weight (relative device weight)", { parse: parseDeviceWeight }),
  "cgroup-parent": text("Optional parent cgroup for the container"),
  device: list("Add a host device to the container"),
  "device-cgroup-rule": listOf("Add a rule to the cgroup allowed devices list", { parse: parseDeviceRule }),
  "device-read-bps": listOf("Limit read rate (bytes per second) from a device", { parse: parseByteRate }),
  "device-read-iops": listOf("Limit read rate (IO per second) from a device", { parse: parseOperationRate }),
  "device-write-bps": listOf("Limit write rate (bytes per second) to a device", { parse: parseByteRate }),
  "device-write-iops": listOf("Limit write rate (IO per second) to a device", { parse: parseOperationRate }),
  gpus: listOf("GPU devices to add to the container ('all' to pass all GPUs)", {
    placeholder: "gpu-request",
    parse: parseGpus,
  }),
  "kernel-memory": bytes("Kernel memory limit, which kernels do not have any more"),
  "memory-swappiness": integer("Tune container memory swappiness (0 to 100)"),
  "oom-kill-disable": bool("Disable OOM Killer"),
  "oom-score-adj": integer("Tune host's OOM preferences (-1000 to 1000)"),
  "shm-size": bytes("Size of /dev/shm"),
  ulimit: listOf("Ulimit options", { placeholder: "NAME=SOFT[:HARD]", parse: parseUlimit }),
};

const networkFlags = {
  "add-host": listOf("Add a custom host-to-IP mapping (host:ip)", { parse: parseExtraHost }),
  dns: listOf("Set custom DNS servers", { parse: parseNameServer }),
  "dns-opt": list("The same as --dns-option"),
  "dns-option": list("Set DNS options"),
  "dns-search": listOf("Set custom DNS search domains", { parse: parseSearchDomain }),
  domainname: text("Container NIS domain name"),
  expose: list("Expose a port or a range of ports"),
  hostname: text("Container host name", { short: "h" }),
  ip: text("IPv4 address (e.g., 172.30.100.104)"),
  ip6: text("IPv6 address (e.g., 2001:db8::33)"),
  link: list("Add link to another container"),
  "link-local-ip": list("Container IPv4/IPv6 link-local addresses"),
  "mac-address": text("Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
  net: listOf("The same as --network", { placeholder: "network", parse: parseNetwork }),
  "net-alias": list("The same as --network-alias"),
  network: listOf("Connect a container to a network", { placeholder: "network", parse: parseNetwork }),
  "network-alias": list("Add network-scoped alias for the container"),
  publish: list("Publish a container's port(s) to the host", { short: "p", placeholder: "[IP:][HOST:]PORT[/PROTO]" }),
  "publish-all": bool("Publish all exposed ports to random ports", { short: "P" }),
};

const storageFlags = {
  mount: listOf("Attach a filesystem mount to the container", {
    placeholder: "type=…,src=…,dst=…",
    parse: parseMount,
  }),
  "read-only": bool("Mount the container's root filesystem as read only"),
  "storage-opt": list("Storage driver options for the container", { placeholder: "KEY=VALUE" }),
  tmpfs: list("Mount a tmpfs directory", { placeholder: "PATH[:OPTIONS]" }),
  volume: list("Bind mount a volume", { short: "v", placeholder: "[SRC:]DST[:OPTIONS]" }),
  "volume-driver": text("Optional volume driver for the container"),
  "volumes-from": list("Mount volumes from the specified container(s)", { placeholder: "CONTAINER" }),
};

const healthFlags = {
  "health-cmd": text("Command to run to check health"),
  "health-interval": duration("Time between running the check (ms|s|m|h)"),
  "health-on-failure": choice("What to do with the container once it is unhealthy: none, kill, restart or stop", {
    of: ["none", "kill", "restart", "stop"],
    initial: "none",
  }),
  "health-retries": integer("Consecutive failures needed to report unhealthy"),
  "health-start-interval": duration("Time between running the check during the start period (ms|s|m|h)"),
  "health-start-period": duration(
    "Start period for the container to initialize before starting health-retries countdown",
  ),
  "health-timeout": duration("Maximum time to allow one check to run (ms|s|m|h)"),
  "no-healthcheck": bool("Disable any container-specified HEALTHCHECK"),
};

const securityFlags = {
  "cap-add": list("Add Linux capabilities"),
  "cap-drop": list("Drop Linux capabilities"),
  cgroupns: text("Cgroup namespace to use (host|private)"),
  "group-add": list("Add additional groups to join"),
  ipc: text("IPC mode to use"),
  isolation: text("Container isolation technology: default is the only one"),
  pid: text("PID namespace to use"),
  privileged: bool("Give extended privileges to this container"),
  "security-opt": list("Security Options"),
  sysctl: listOf("Sysctl options", { placeholder: "KEY=VALUE", parse: parseSysctl }),
  user: text("Username or UID (format: <name|uid>[:<group|gid>])", { short: "u" }),
  userns: text("User namespace to use"),
  uts: text("UTS namespace to use"),
};

/** Flags of `create` and `run`, as docker has them. Those that Berth's daemon does not know are refused there, by name. */
export const containerFlags = {
  ...resourceFlags,
  ...networkFlags,
  ...storageFlags,
  ...healthFlags,
  ...securityFlags,
  annotation: list("Add an annotation to the container (passed through to the OCI runtime)", {
    placeholder: "KEY=VALUE",
  }),
  attach: listOf("Attach to STDIN, STDOUT or STDERR", { short: "a", parse: parseStream }),
  cidfile: text("Write the container ID to the file", { placeholder: "FILE" }),
  "disable-content-trust": bool("Skip image verification, which Berth does not have", { initial: true }),
  entrypoint: text("Overwrite the default ENTRYPOINT of the image"),
  env: listOf("Set environment variables", { short: "e", placeholder: "NAME[=VALUE]", parse: parseEnvironment }),
  "env-file": list("Read in a file of environment variables", { placeholder: "FILE" }),
  init: bool("Run an init inside the container that forwards signals and reaps processes"),
  interactive: bool("Keep STDIN open even if not attached", { short: "i" }),
  label: listOf("Set meta data on a container", { short: "l", placeholder: "KEY=VALUE", parse: parseLabel }),
  "label-file": list("Read in a line delimited file of labels", { placeholder: "FILE" }),
  "log-driver": text("Logging driver for the container"),
  "log-opt": list("Log driver options", { placeholder: "KEY=VALUE" }),
  name: text("Assign a name to the container"),
  platform: text("Set platform if server is multi-platform capable"),
  pull: text('Pull image before creating ("always", "missing", "never")', { initial: "missing" }),
  quiet: bool("Suppress the pull output", { short: "q" }),
  replace: bool("Take the place of a container of the same name, which is removed (needs --name)"),
  restart: text("Restart policy to apply when a container exits", { initial: "no" }),
  rm: bool("Automatically remove the container and its associated anonymous volumes when it exits"),
  runtime: text("Runtime to use for this container"),
  "stop-signal": text("Signal to stop the container"),
  "stop-timeout": integer("Timeout (in seconds) to stop a container"),
  tty: bool("Allocate a pseudo-TTY", { short: "t" }),
  workdir: text("Working directory inside the container", { short: "w" }),
};

export type ContainerFlags = typeof containerFlags;
