import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { LogConfig } from "../containers/mod.ts";
import { EngineError, wrap } from "../errors/mod.ts";
import { bool, choice, list, parseFlags, text } from "../flags/mod.ts";
import { type LogLevel, logLevels } from "../log/mod.ts";
import type { Pool } from "../network/mod.ts";
import { readAddressPools } from "./address-pools.ts";
import { builderFlags, readCacheSize } from "./builder-settings.ts";
import {
  type ContainerSettings,
  containerDefaultFlags,
  containerDefaultKeys,
  readContainerDefaults,
} from "./container-defaults.ts";

/** Everything a daemon is told. What is derived from the roots keeps two daemons on one host apart. */
export interface DaemonConfig {
  readonly hosts: readonly string[];
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly pidfile: string;
  readonly registryMirrors: readonly string[];
  readonly insecureRegistries: readonly string[];
  readonly logLevel: LogLevel;
  /** Group of the unix socket; undefined uses `docker` if there is one. */
  readonly group: string | undefined;
  readonly bridge: string;
  readonly subnet: string | undefined;
  /** Where subnets come from that nobody names; undefined for the engine's own choice. */
  readonly addressPools: readonly Pool[] | undefined;
  readonly cgroupParent: string;
  readonly runtime: "auto" | "crun" | "runc";
  /** Whose subordinate ids containers have: `default`, USER[:GROUP] or UID[:GID]; undefined runs them as the host's own users. */
  readonly usernsRemap: string | undefined;
  readonly containers: ContainerSettings;
  /** Of containers that name no driver. */
  readonly logDefaults: LogConfig;
  /** Bytes that the build cache may take; 0 for no limit. */
  readonly buildCacheSize: number;
  /** Six characters, unique to the pair of roots. */
  readonly tag: string;
}

export const defaults = {
  host: "unix:///run/berth.sock",
  dataRoot: "/var/lib/berth",
  execRoot: "/run/berth",
  pidfile: "/run/berth.pid",
  configFile: "/etc/berth/daemon.json",
} as const;

export const daemonFlags = {
  host: list("Address to listen on: unix:///PATH or tcp://HOST:PORT", { short: "H", placeholder: "ADDR" }),
  "data-root": text("Where images, containers and volumes are kept", { placeholder: "DIR" }),
  "exec-root": text("Where the state of running containers is kept", { placeholder: "DIR" }),
  pidfile: text("File for the daemon's process id", { short: "p", placeholder: "FILE" }),
  "registry-mirror": list("Registry to ask before Docker Hub", { placeholder: "URL" }),
  "insecure-registry": list("Registry that may be spoken to without TLS", { placeholder: "HOST" }),
  "config-file": text("Configuration file (JSON, keys as the flags)", { placeholder: "FILE" }),
  "log-level": choice("Least important lines to log", { short: "l", of: logLevels, initial: "info" }),
  debug: bool("The same as --log-level debug", { short: "D" }),
  group: text("Group that owns the unix socket", { short: "G", placeholder: "NAME" }),
  bridge: text("Name of the default bridge", { short: "b", placeholder: "NAME" }),
  bip: text("Address and prefix of the default bridge", { placeholder: "CIDR" }),
  "default-address-pool": list("Where subnets come from that nobody names", { placeholder: "base=CIDR,size=BITS" }),
  "cgroup-parent": text("Parent cgroup of all containers", { placeholder: "PATH" }),
  runtime: choice("OCI runtime", { of: ["auto", "crun", "runc"], initial: "auto" }),
  "userns-remap": text("Run containers in user namespaces with the subordinate ids of this user", {
    placeholder: "default|USER[:GROUP]|UID[:GID]",
  }),
  "default-runtime": text("The same as --runtime", { placeholder: "NAME" }),
  ...containerDefaultFlags,
  ...builderFlags,
  "log-driver": text("Log driver of containers that name none", { placeholder: "NAME", initial: "json-file" }),
  "log-opt": list("Option of that log driver", { placeholder: "KEY=VALUE" }),
  help: bool("Show this help"),
};

/** Flags over configuration file over defaults. Throws "invalid" naming the flag or key. */
export function readConfig(argv: readonly string[]): DaemonConfig {
  const { values, rest, given } = parseFlags(daemonFlags, argv, { interspersed: true });
  if (rest[0] !== undefined)
    throw new EngineError("invalid", `unknown argument ${JSON.stringify(rest[0])}: berth daemon takes flags only`);
  const file = readFile(values["config-file"] || defaults.configFile, given.has("config-file"));
  const string = (
    key:
      | "data-root"
      | "exec-root"
      | "pidfile"
      | "group"
      | "bridge"
      | "bip"
      | "cgroup-parent"
      | "default-runtime"
      | "userns-remap",
  ) => values[key] || file.string(key);
  const lists = (key: "host" | "registry-mirror" | "insecure-registry", inFile: string) =>
    values[key].length > 0 ? values[key] : file.list(inFile);
  const dataRoot = resolve(string("data-root") ?? defaults.dataRoot);
  const execRoot = resolve(string("exec-root") ?? defaults.execRoot);
  const own = dataRoot === defaults.dataRoot && execRoot === defaults.execRoot;
  const tag = createHash("sha256").update(`${dataRoot}\n${execRoot}`).digest("hex").slice(0, 6);
  const hosts = lists("host", "hosts");
  const level = given.has("log-level") ? values["log-level"] : (file.string("log-level") ?? values["log-level"]);
  return {
    hosts: hosts.length > 0 ? hosts : [own ? defaults.host : `unix://${execRoot}/berth.sock`],
    dataRoot,
    execRoot,
    pidfile: resolve(string("pidfile") ?? (own ? defaults.pidfile : `${execRoot}/berth.pid`)),
    registryMirrors: lists("registry-mirror", "registry-mirrors"),
    insecureRegistries: lists("insecure-registry", "insecure-registries"),
    logLevel: values.debug ? "debug" : checkLevel(level),
    group: string("group"),
    bridge: checkBridge(string("bridge") ?? (own ? "berth0" : `berth${tag}`)),
    subnet: string("bip"),
    addressPools: readAddressPools(values["default-address-pool"], file.raw("default-address-pools")),
    cgroupParent: string("cgroup-parent") ?? (own ? "/berth" : `/berth-${tag}`),
    runtime: given.has("runtime")
      ? values.runtime
      : checkRuntime(string("default-runtime") ?? file.string("runtime") ?? "auto"),
    usernsRemap: string("userns-remap"),
    containers: readContainerDefaults({ values, given }, file),
    buildCacheSize: readCacheSize(values, file),
    logDefaults: {
      Type: given.has("log-driver") ? values["log-driver"] : (file.string("log-driver") ?? values["log-driver"]),
      Config: { ...file.texts("log-opts"), ...pairs(values["log-opt"]) },
    },
    tag,
  };
}

/** Throws "invalid" for one without an equals sign. */
function pairs(options: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    options.map((option) => {
      const at = option.indexOf("=");
      if (at > 0) return [option.slice(0, at), option.slice(at + 1)];
      throw new EngineError("invalid", `log-opt ${JSON.stringify(option)}: must be KEY=VALUE`);
    }),
  );
}

const fileKeys = new Set<string>([
  ...[
    "hosts",
    "registry-mirrors",
    "insecure-registries",
    "data-root",
    "exec-root",
    "pidfile",
    "group",
    "bridge",
    "bip",
    "default-address-pools",
  ],
  ...["cgroup-parent", "runtime", "default-runtime", "log-level", "userns-remap", "log-driver", "log-opts", "builder"],
  ...containerDefaultKeys,
]);

class ConfigFile {
  readonly #path: string;
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(path: string, values: Readonly<Record<string, unknown>>) {
    this.#path = path;
    this.#values = values;
    for (const key of Object.keys(values)) {
      if (!fileKeys.has(key)) throw new EngineError("invalid", `${path}: key ${JSON.stringify(key)} is not supported`);
    }
  }

  string(key: string): string | undefined {
    const value = this.#values[key];
    if (value === undefined || typeof value === "string") return value || undefined;
    throw new EngineError("invalid", `${this.#path}: ${key} must be a string`);
  }

  raw(key: string): unknown {
    return this.#values[key];
  }

  boolean(key: string): boolean | undefined {
    const value = this.#values[key];
    if (value === undefined || typeof value === "boolean") return value;
    throw new EngineError("invalid", `${this.#path}: ${key} must be true or false`);
  }

  texts(key: string): Readonly<Record<string, string>> {
    const value = this.#values[key] ?? {};
    const texts = (found: object): found is Record<string, string> =>
      !Array.isArray(found) && Object.values(found).every((one) => typeof one === "string");
    if (typeof value === "object" && texts(value)) return value;
    throw new EngineError("invalid", `${this.#path}: ${key} must be an object of strings`);
  }

  list(key: string): readonly string[] {
    const value = this.#values[key] ?? [];
    if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value;
    throw new EngineError("invalid", `${this.#path}: ${key} must be a list of strings`);
  }
}

function readFile(path: string, required: boolean): ConfigFile {
  if (!existsSync(path)) {
    if (required) throw new EngineError("invalid", `configuration file ${path} does not exist`);
    return new ConfigFile(path, {});
  }
  try {
    const values: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof values !== "object" || values === null || Array.isArray(values))
      throw new EngineError("invalid", "must hold an object");
    return new ConfigFile(path, values as Record<string, unknown>);
  } catch (err) {
    if (err instanceof EngineError) throw err;
    throw wrap(new EngineError("invalid", String(err)), path);
  }
}

function checkLevel(level: string): LogLevel {
  const found = logLevels.find((one) => one === level);
  if (!found)
    throw new EngineError("invalid", `log-level ${JSON.stringify(level)}: must be one of ${logLevels.join(", ")}`);
  return found;
}

function checkRuntime(name: string): DaemonConfig["runtime"] {
  if (name === "auto" || name === "crun" || name === "runc") return name;
  throw new EngineError("invalid", `runtime ${JSON.stringify(name)}: must be auto, crun or runc`);
}

/** IFNAMSIZ leaves 15 bytes (netdevice(7)). */
function checkBridge(name: string): string {
  if (/^[A-Za-z0-9_.-]{1,15}$/.test(name) && name !== "." && name !== "..") return name;
  throw new EngineError(
    "invalid",
    `bridge ${JSON.stringify(name)} is not a network interface name of at most 15 characters`,
  );
}
