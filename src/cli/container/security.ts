import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { messageOf } from "../../errors/mod.ts";
import { invalid, splitOnce } from "./values.ts";

/** Capabilities under their full names, each once. */
export function capabilities(given: readonly string[]): readonly string[] {
  return [...new Set(given.map(fullName))].sort();
}

function fullName(given: string): string {
  const name = given.trim().toUpperCase();
  return name === "ALL" || name.startsWith("CAP_") ? name : `CAP_${name}`;
}

export interface SecurityPart {
  readonly SecurityOpt: readonly string[];
  /** Present, and empty, where nothing of the system is to be hidden or protected. */
  readonly MaskedPaths?: readonly string[];
  readonly ReadonlyPaths?: readonly string[];
}

/** `--security-opt`: a seccomp profile is read here, since the engine does not see our files. Throws "invalid". */
export function securityPart(given: readonly string[], cwd: string): SecurityPart {
  const options = given.map(checked);
  const open = options.includes("systempaths=unconfined");
  const rest = options.filter((one) => one !== "systempaths=unconfined").map((one) => withProfile(one, cwd));
  return { SecurityOpt: rest, ...(open && { MaskedPaths: [], ReadonlyPaths: [] }) };
}

/** `NAME=VALUE`, or with a colon, which is how it was written once; `no-new-privileges` stands alone. */
function checked(option: string): string {
  if (/[=:]/.test(option) || option === "no-new-privileges") return option;
  throw invalid(`Invalid --security-opt: ${JSON.stringify(option)}`);
}

function withProfile(option: string, cwd: string): string {
  const [name, setting = ""] = splitOnce(option, option.includes("=") ? "=" : ":");
  if (name !== "seccomp" || setting === "unconfined" || setting === "builtin") return option;
  const text = profileText(setting, cwd);
  try {
    return `seccomp=${JSON.stringify(JSON.parse(text))}`;
  } catch (err) {
    throw invalid(`compacting json for seccomp profile (${setting}) failed: ${messageOf(err)}`);
  }
}

function profileText(path: string, cwd: string): string {
  try {
    return readFileSync(resolve(cwd, path), "utf8");
  } catch (err) {
    const missing = err instanceof Error && "code" in err && err.code === "ENOENT";
    const reason = missing ? `open ${path}: no such file or directory` : messageOf(err);
    throw invalid(`opening seccomp profile (${path}) failed: ${reason}`);
  }
}
