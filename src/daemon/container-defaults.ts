import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { ContainersConfig } from "../containers/mod.ts";
import { EngineError, messageOf } from "../errors/mod.ts";
import { bool, choice, list, listOf, parseBytes, parseUlimit, text, type Values, value } from "../flags/mod.ts";
import type { Ulimit } from "../wire/mod.ts";

/** What holds for containers that say nothing themselves: dockerd's flags of the same names. */
export type ContainerSettings = NonNullable<ContainersConfig["defaults"]> & { readonly shmSize: number };

const ipcModes = ["private", "shareable"] as const;
const cgroupnsModes = ["", "private", "host"] as const;

export const containerDefaultFlags = {
  "default-ulimit": listOf("Ulimit of containers", { placeholder: "NAME=SOFT[:HARD]", parse: parseUlimit }),
  "default-shm-size": value("Size of containers' /dev/shm", { placeholder: "BYTES", parse: parseBytes, initial: 0 }),
  "default-ipc-mode": choice("IPC mode of containers", { of: ipcModes, initial: "private" }),
  "default-cgroupns-mode": choice("Cgroup namespace of containers: the host's on cgroup v1, a private one on v2", {
    of: cgroupnsModes,
    initial: "",
  }),
  init: bool("Run an init process in containers"),
  "no-new-privileges": bool("Set no-new-privileges for containers"),
  "seccomp-profile": text("Seccomp profile of containers: a file, builtin or unconfined", { placeholder: "FILE" }),
  dns: list("Name server of containers and builds", { placeholder: "ADDR" }),
  "dns-opt": list("Resolver option of containers", { placeholder: "OPTION" }),
  "dns-search": list("Search domain of containers", { placeholder: "DOMAIN" }),
  "host-gateway-ip": list("Address that host-gateway means in --add-host", { placeholder: "ADDR" }),
};

/** Their names in the configuration file, which are dockerd's. */
export const containerDefaultKeys = [
  ...["default-ulimits", "default-shm-size", "default-ipc-mode", "default-cgroupns-mode", "init"],
  ...["no-new-privileges", "seccomp-profile", "dns", "dns-opts", "dns-search", "host-gateway-ips"],
] as const;

export interface ConfigValues {
  string(key: string): string | undefined;
  list(key: string): readonly string[];
  boolean(key: string): boolean | undefined;
  /** As it was written; undefined when it was not. */
  raw(key: string): unknown;
}

type Flags = Values<typeof containerDefaultFlags>;

/** Flags over file over defaults. Throws "invalid" naming the flag or key. */
export function readContainerDefaults(
  { values, given }: { readonly values: Flags; readonly given: ReadonlySet<string> },
  file: ConfigValues,
): ContainerSettings {
  const lists = (flag: "dns" | "dns-opt" | "dns-search" | "host-gateway-ip", key: string) =>
    values[flag].length > 0 ? values[flag] : file.list(key);
  const flagOr = (flag: "init" | "no-new-privileges") =>
    given.has(flag) ? values[flag] : (file.boolean(flag) ?? false);
  const word = <T extends string>(flag: "default-ipc-mode" | "default-cgroupns-mode", of: readonly T[]) =>
    given.has(flag) ? (values[flag] as T) : oneOf(of, { key: flag, word: file.string(flag) });
  const cgroupns = word("default-cgroupns-mode", cgroupnsModes);
  return {
    ulimits: values["default-ulimit"].length > 0 ? values["default-ulimit"] : ulimitsOf(file.raw("default-ulimits")),
    shmSize: values["default-shm-size"] || sizeOf(file.raw("default-shm-size")) || 64 << 20,
    ipcMode: word("default-ipc-mode", ipcModes) ?? "private",
    ...(cgroupns && { cgroupnsMode: cgroupns }),
    init: flagOr("init"),
    noNewPrivileges: flagOr("no-new-privileges"),
    seccomp: profileOf(values["seccomp-profile"] || file.string("seccomp-profile") || "builtin"),
    dns: addresses("dns", lists("dns", "dns")),
    dnsOptions: lists("dns-opt", "dns-opts"),
    dnsSearch: lists("dns-search", "dns-search"),
    hostGateways: addresses("host-gateway-ip", lists("host-gateway-ip", "host-gateway-ips")),
  };
}

function oneOf<T extends string>(
  of: readonly T[],
  { key, word }: { key: string; word: string | undefined },
): T | undefined {
  const found = of.find((one) => one === word);
  if (word === undefined || found !== undefined) return found;
  throw new EngineError("invalid", `${key} ${JSON.stringify(word)}: must be one of ${of.filter(Boolean).join(", ")}`);
}

function addresses(key: string, given: readonly string[]): readonly string[] {
  const bad = given.find((one) => isIP(one) === 0);
  if (bad === undefined) return given;
  throw new EngineError("invalid", `${key} ${JSON.stringify(bad)} is not an ip address`);
}

/** A number of bytes, or what the flag takes. */
function sizeOf(raw: unknown): number | undefined {
  if (raw === undefined || (typeof raw === "number" && Number.isSafeInteger(raw) && raw >= 0)) return raw;
  if (typeof raw === "string") return parseBytes(raw);
  throw new EngineError("invalid", "default-shm-size must be a size, such as 64M");
}

/** `{"nofile": {"Name": "nofile", "Hard": 64000, "Soft": 64000}}`. */
function ulimitsOf(raw: unknown): readonly Ulimit[] {
  if (raw === undefined) return [];
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) throw badUlimits();
  return Object.entries(raw as Record<string, unknown>).map(([name, limit]) => {
    const { Name = name, Soft, Hard } = (limit ?? {}) as Partial<Record<keyof Ulimit, unknown>>;
    if (typeof Name !== "string" || !Number.isSafeInteger(Soft) || !Number.isSafeInteger(Hard)) throw badUlimits();
    return parseUlimit(`${Name}=${Soft}:${Hard}`);
  });
}

function badUlimits(): EngineError {
  return new EngineError(
    "invalid",
    'default-ulimits must hold limits by name: {"nofile": {"Soft": 1024, "Hard": 2048}}',
  );
}

function profileOf(setting: string): NonNullable<ContainerSettings["seccomp"]> {
  if (setting === "builtin") return "default";
  if (setting === "unconfined") return setting;
  try {
    const parsed: unknown = JSON.parse(readFileSync(setting, "utf8"));
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch (err) {
    throw new EngineError("invalid", `seccomp-profile ${setting}: ${messageOf(err)}`, { cause: err });
  }
  throw new EngineError("invalid", `seccomp-profile ${setting}: must hold a JSON object`);
}
