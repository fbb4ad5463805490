import { EngineError } from "../../errors/mod.ts";
import type { Rule } from "./rules.ts";

/** What `# check=skip=…;experimental=…;error=true` says (Dockerfile reference, "check"). */
export interface CheckConfig {
  readonly skip: "all" | ReadonlySet<string>;
  readonly experimental: "all" | ReadonlySet<string>;
  /** Findings make the build fail. */
  readonly error: boolean;
}

const none: CheckConfig = { skip: new Set(), experimental: new Set(), error: false };

/** Throws "invalid": `failed to parse check options: invalid check option "x"`. */
export function parseCheck(text: string): CheckConfig {
  if (text.trim() === "") return none;
  return text.split(";").reduce(withOption, none);
}

function withOption(config: CheckConfig, option: string): CheckConfig {
  const at = option.indexOf("=");
  const key = option.slice(0, Math.max(at, 0)).trim();
  const value = option.slice(at + 1).trim();
  switch (at < 0 ? "" : key) {
    case "skip":
      return { ...config, skip: named(value) };
    case "experimental":
      return { ...config, experimental: named(value) };
    case "error":
      return { ...config, error: truth(value, option) };
    default:
      throw invalid(`invalid check option ${JSON.stringify(at < 0 ? option : key)}`);
  }
}

function named(value: string): CheckConfig["skip"] {
  return value === "all" ? "all" : new Set(value.split(",").map((name) => name.trim()));
}

/** The words of Go's `strconv.ParseBool`. */
function truth(value: string, option: string): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(value)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(value)) return false;
  const problem = `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`;
  throw invalid(`failed to parse check option ${JSON.stringify(option)}: ${problem}`);
}

function invalid(problem: string): EngineError {
  return new EngineError("invalid", `failed to parse check options: ${problem}`);
}

/** Whether a rule runs at an instruction with these comments above it, of which the first `# check=…` counts. */
export function runs(rule: Rule, { config, comments }: { config: CheckConfig; comments: readonly string[] }): boolean {
  const configs = [config, ownConfig(comments)];
  const names = (list: CheckConfig["skip"]) => list === "all" || list.has(rule.name);
  if (rule.experimental) return configs.some(({ experimental }) => names(experimental));
  return !configs.some(({ skip }) => names(skip));
}

/** One that makes no sense is a comment. */
function ownConfig(comments: readonly string[]): CheckConfig {
  const options = comments
    .map((comment) => /^check\s*=\s*(\S+)/i.exec(comment)?.[1])
    .find((text) => text !== undefined);
  try {
    return parseCheck(options ?? "");
  } catch {
    return none;
  }
}
