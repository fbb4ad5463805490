import { EngineError } from "../errors/mod.ts";
import type { HostLimits } from "../runtime/mod.ts";
import type { HostConfig } from "../wire/mod.ts";

export interface Security {
  readonly seccomp: "default" | "unconfined" | object;
  readonly apparmorProfile?: string;
  readonly noNewPrivileges: boolean;
  readonly writableCgroups?: boolean;
}

/** What holds for containers that say nothing: the daemon's own settings. */
export type SecurityDefaults = Partial<Pick<Security, "seccomp" | "noNewPrivileges">>;

/** `--security-opt`, as the command line sends it. Throws "invalid" for an unknown or malformed option. */
export function parseSecurity(
  host: Pick<HostConfig, "SecurityOpt" | "Privileged">,
  { seccomp = "default", noNewPrivileges = false }: SecurityDefaults = {},
): Security {
  let found: Security = { seccomp: host.Privileged ? "unconfined" : seccomp, noNewPrivileges };
  for (const option of host.SecurityOpt ?? []) found = { ...found, ...parseOne(option) };
  return found;
}

/**
 * What confines a container's processes: the profile that it asks for, none (`unconfined`) if it is privileged, else the daemon's
 * own. Undefined where the host has no AppArmor, or the daemon's own could not be loaded.
 */
export function apparmorOf(
  host: Pick<HostConfig, "SecurityOpt" | "Privileged">,
  limits: Pick<HostLimits, "apparmor" | "apparmorProfile">,
): Pick<Security, "apparmorProfile"> {
  if (!limits.apparmor) return {};
  const { apparmorProfile = host.Privileged ? "unconfined" : limits.apparmorProfile } = parseSecurity(host);
  return apparmorProfile === undefined ? {} : { apparmorProfile };
}

/** Options that this host cannot give effect to, which dockerd passes over in silence. */
export function securityWarnings({ SecurityOpt }: Pick<HostConfig, "SecurityOpt">, limits: HostLimits): string[] {
  return (SecurityOpt ?? []).flatMap((option) => {
    const { key, value = "" } = split(option);
    if (key === "apparmor" && value !== "unconfined" && !limits.apparmor)
      return [`AppArmor is not enabled on this host: the profile ${value} has no effect`];
    if (key === "label" && value !== "disable" && limits.selinux)
      return [`SELinux labels are not implemented: ${option} has no effect`];
    return [];
  });
}

/** ":" is the old form. */
function split(option: string): { key: string; value?: string } {
  const at = option.indexOf(option.includes("=") ? "=" : ":");
  return at < 0 ? { key: option } : { key: option.slice(0, at), value: option.slice(at + 1) };
}

function parseOne(option: string): Partial<Security> {
  const { key, value } = split(option);
  switch (key) {
    case "no-new-privileges":
      return { noNewPrivileges: value === undefined || flag(option, value) };
    case "writable-cgroups":
      return { writableCgroups: flag(option, required(option, value)) };
    case "seccomp":
      return { seccomp: profile(required(option, value)) };
    case "apparmor":
      return { apparmorProfile: required(option, value) };
    case "disable":
    case "label":
      return {}; // SELinux labels: what dockerd does, too, unless it was started with --selinux-enabled
    default:
      throw new EngineError(
        "invalid",
        `invalid --security-opt ${value === undefined ? 1 : 2}: ${JSON.stringify(option)}`,
      );
  }
}

/** Go's strconv.ParseBool. */
function flag(option: string, value: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw new EngineError("invalid", `invalid --security-opt 2: ${JSON.stringify(option)}`);
}

function required(option: string, value: string | undefined): string {
  if (value) return value;
  throw new EngineError("invalid", `invalid --security-opt 1: ${JSON.stringify(option)}`);
}

/** A profile's own text, since the engine does not see its user's files. */
export function profile(value: string): Security["seccomp"] {
  if (value === "unconfined") return value;
  if (value === "builtin") return "default";
  try {
    const parsed: unknown = JSON.parse(value);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch (err) {
    throw new EngineError("invalid", "Decoding seccomp profile failed: it is not valid JSON", { cause: err });
  }
  throw new EngineError("invalid", "Decoding seccomp profile failed: it is not a JSON object");
}
