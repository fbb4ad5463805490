import { EngineError } from "../errors/mod.ts";
import type { HostConfig } from "../wire/mod.ts";

export interface Security {
  readonly seccomp: "default" | "unconfined" | object;
  readonly apparmorProfile?: string;
  readonly noNewPrivileges: boolean;
}

/** `--security-opt`, as the command line sends it. Throws "invalid" for an unknown or malformed option. */
export function parseSecurity(host: Pick<HostConfig, "SecurityOpt" | "Privileged">): Security {
  let found: Security = { seccomp: host.Privileged ? "unconfined" : "default", noNewPrivileges: false };
  for (const option of host.SecurityOpt ?? []) found = { ...found, ...parseOne(option) };
  return found;
}

function parseOne(option: string): Partial<Security> {
  const at = option.search(/[=:]/); // ":" is the old form
  const key = at < 0 ? option : option.slice(0, at);
  const value = at < 0 ? undefined : option.slice(at + 1);
  switch (key) {
    case "no-new-privileges":
      return { noNewPrivileges: flag(option, value) };
    case "seccomp":
      return { seccomp: profile(required(option, value)) };
    case "apparmor":
      return { apparmorProfile: required(option, value) };
    case "label":
      return {}; // SELinux labels: nothing to do where there is no SELinux, which is where Berth runs
    default:
      throw new EngineError("invalid", `invalid --security-opt 2: ${JSON.stringify(option)}`);
  }
}

function flag(option: string, value: string | undefined): boolean {
  if (value === undefined || value === "true") return true;
  if (value === "false") return false;
  throw new EngineError("invalid", `invalid --security-opt 2: ${JSON.stringify(option)}`);
}

function required(option: string, value: string | undefined): string {
  if (value) return value;
  throw new EngineError("invalid", `invalid --security-opt 1: ${JSON.stringify(option)}`);
}

function profile(value: string): Security["seccomp"] {
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
