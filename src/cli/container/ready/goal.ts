import { EngineError } from "../../../errors/mod.ts";
import { type Flag, value } from "../../../flags/mod.ts";
import { parseNanoseconds } from "../values.ts";

/** What `--wait` waits for. `default`: healthy where there is a health check, else running. */
export type Goal =
  | { readonly kind: "default" | "running" | "healthy" }
  | { readonly kind: "port"; readonly port: number }
  | { readonly kind: "log"; readonly pattern: RegExp };

/** `running`, `healthy`, `port:N` or `log:REGEX`. Throws "invalid". */
export function parseGoal(text: string): Goal {
  if (text === "running" || text === "healthy") return { kind: text };
  const [, kind, rest = ""] = /^(port|log):(.*)$/s.exec(text) ?? [];
  if (kind === "port") return { kind, port: portNumber(rest) };
  if (kind === "log" && rest !== "") return { kind, pattern: regularExpression(rest) };
  throw new EngineError("invalid", "use healthy, running, port:N or log:REGEX");
}

function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new EngineError("invalid", `${JSON.stringify(text)} is no port`);
}

function regularExpression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (err) {
    throw new EngineError("invalid", err instanceof Error ? err.message : String(err));
  }
}

/** Takes a value only with `=`, and may be given again: all of them have to hold. */
const waitFlag: Flag<readonly Goal[]> = {
  kind: "bool",
  help: "Wait until it is healthy (running, without a health check), or for --wait=healthy|running|port:N|log:REGEX",
  placeholder: "healthy|running|port:N|log:REGEX",
  initial: [],
  parse(text, before) {
    if (text === "true") return [...before, { kind: "default" }];
    return text === "false" ? [] : [...before, parseGoal(text)];
  },
};

export const waitFlags = {
  wait: waitFlag,
  "wait-timeout": value("How long --wait waits before it fails (ms|s|m|h); 0 is as long as it takes", {
    placeholder: "duration",
    parse: parseNanoseconds,
    initial: 0,
  }),
};

/** As it reads in a sentence after "to". */
export function goalText(goal: Goal): string {
  switch (goal.kind) {
    case "default":
      return "be ready";
    case "running":
      return "run";
    case "healthy":
      return "be healthy";
    case "port":
      return `accept connections on port ${goal.port}`;
    case "log":
      return `log ${goal.pattern}`;
    default:
      return goal satisfies never;
  }
}
