import { csv } from "../../wire/mod.ts";
import { bracketless, invalid, isAddress, splitOnce } from "./values.ts";

/** Values of the flags that keep a container apart, checked as docker's command line checks them before it asks the engine. */

/** `c 1:3 rwm`. */
export function parseDeviceRule(given: string): string {
  if (/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(given)) return given;
  throw invalid(`invalid device cgroup format '${given}'`);
}

/** Sysctls that a namespace keeps apart. */
export function parseSysctl(given: string): string {
  const ipc = /^(kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)=/;
  if (/^net\.[^=]+=/.test(given) || ipc.test(given)) return given;
  throw invalid(`sysctl '${given}' is not allowed`);
}

export function parseNameServer(given: string): string {
  const address = given.trim();
  if (isAddress(bracketless(address))) return address;
  throw invalid(`IP address is not correctly formatted: ${address}`);
}

/** A domain, or "." for none at all. */
export function parseSearchDomain(given: string): string {
  const domain = given.trim();
  const label = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?";
  if (domain === "." || (/[a-zA-Z]/.test(domain) && new RegExp(`^${label}(\\.${label})*\\.?$`).test(domain)))
    return domain;
  throw invalid(`${domain} is not a valid domain`);
}

export function parseLabel(given: string): string {
  const [name] = splitOnce(given, "=");
  if (name === "") throw invalid(`invalid label '${given}': empty name`);
  return given;
}

export function parseStream(given: string): "stdin" | "stdout" | "stderr" {
  const stream = given.toLowerCase();
  if (stream === "stdin" || stream === "stdout" || stream === "stderr") return stream;
  throw invalid("valid streams are STDIN, STDOUT and STDERR");
}

export interface DeviceRequest {
  readonly Driver: string;
  /** -1 is all of them. */
  readonly Count: number;
  readonly DeviceIDs: readonly string[] | null;
  readonly Capabilities: readonly (readonly string[])[];
  readonly Options: Readonly<Record<string, string>>;
}

/** `all`, a number, or `device=0,driver=nvidia,"capabilities=compute,utility"`. */
export function parseGpus(given: string): DeviceRequest {
  const fields = csv(given).map((field) => splitOnce(field, "="));
  const seen = new Map<string, string>();
  for (const [key, text] of fields) {
    if (text !== undefined && !["driver", "count", "device", "capabilities", "options"].includes(key))
      throw invalid(`unexpected key '${key}' in '${key}=${text}'`);
    const name = text === undefined ? "count" : key;
    if (text !== undefined && seen.has(name)) throw invalid(`gpu request key '${name}' can be specified only once`);
    seen.set(name, text ?? key);
  }
  const devices = seen.get("device")?.split(",");
  const capabilities = seen.get("capabilities")?.split(",") ?? [];
  const options = csv(seen.get("options") ?? "").filter((one) => one !== "");
  return {
    Driver: seen.get("driver") ?? "",
    Count: seen.has("count") ? count(seen.get("count") ?? "") : devices ? 0 : 1,
    DeviceIDs: devices ?? null,
    Capabilities: [[...capabilities, "gpu"]],
    Options: Object.fromEntries(options.map((one) => splitOnce(one, "=")).map(([key, text]) => [key, text ?? ""])),
  };
}

function count(given: string): number {
  if (given === "all") return -1;
  if (/^[+-]?\d+$/.test(given)) return Number(given);
  throw invalid(`invalid count (${given}): value must be either "all" or an integer: invalid syntax`);
}

/** Modes whose words docker's command line knows itself. */
export function checkModes(modes: Readonly<Record<"cgroupns" | "pid" | "userns" | "uts", string>>): void {
  const known: readonly (readonly [keyof typeof modes, RegExp, string])[] = [
    ["pid", /^(host|container:.+)?$/, "--pid: invalid PID mode"],
    ["uts", /^(host)?$/, "--uts: invalid UTS mode"],
    ["userns", /^(host|private|container:.+)?$/, "--userns: invalid USER mode"],
    ["cgroupns", /^(host|private)?$/, "--cgroupns: invalid CGROUP mode"],
  ];
  for (const [name, words, message] of known) if (!words.test(modes[name])) throw invalid(message);
}
