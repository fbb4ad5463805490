import { messageOf } from "../../errors/mod.ts";
import { parseDuration } from "../../wire/mod.ts";
import { command } from "./arguments.ts";
import { dockerfileError } from "./error.ts";
import { type Flags, flag, readFlags } from "./flags.ts";
import { type HealthcheckInstruction, placeOf } from "./instructions.ts";
import type { Node } from "./parse.ts";

const timed = {
  interval: "Interval",
  timeout: "Timeout",
  "start-period": "StartPeriod",
  "start-interval": "StartInterval",
};

/** HEALTHCHECK CMD … and HEALTHCHECK NONE. Times are in nanoseconds. */
export function healthcheckInstruction(node: Node): HealthcheckInstruction {
  const kinds = Object.fromEntries([...Object.keys(timed), "retries"].map((name) => [name, "string" as const]));
  const flags = readFlags(node, kinds);
  const type = (/^\S*/.exec(flags.rest)?.[0] ?? "").toUpperCase();
  const rest = flags.rest.slice(type.length).trim();
  const place = { kind: "healthcheck", ...placeOf(node) } as const;
  if (type === "") throw dockerfileError(node, "HEALTHCHECK requires at least one argument");
  if (type === "NONE") {
    if (rest !== "" && rest !== "[]") throw dockerfileError(node, "HEALTHCHECK NONE takes no arguments");
    return { ...place, check: {} };
  }
  if (type !== "CMD") throw dockerfileError(node, `Unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`);
  const parsed = command(rest, node);
  if (parsed.words.length === 0 || (parsed.form === "shell" && rest === ""))
    throw dockerfileError(node, "Missing command after HEALTHCHECK CMD");
  return { ...place, check: options(flags, node), command: parsed };
}

function options(flags: Flags, node: Node): HealthcheckInstruction["check"] {
  const times = Object.entries(timed).map(([name, field]) => [field, interval(flags, { name, node })] as const);
  const retries = flag(flags, "retries") || undefined;
  const wrong = retries !== undefined && problemOf(retries);
  if (wrong) throw dockerfileError(node, `strconv.ParseInt: parsing ${JSON.stringify(retries)}: ${wrong}`);
  if (Number(retries) < 0) throw dockerfileError(node, `--retries cannot be negative (${retries})`);
  return {
    ...Object.fromEntries(times.filter(([, value]) => value !== undefined && value !== 0)),
    ...(retries !== undefined && Number(retries) !== 0 && { Retries: Number(retries) }),
  };
}

/** What Go has to say of a number with 32 bits. */
function problemOf(retries: string): string | undefined {
  if (!/^[+-]?\d+$/.test(retries)) return "invalid syntax";
  const value = Number(retries);
  return value > 2 ** 31 - 1 || value < -(2 ** 31) ? "value out of range" : undefined;
}

function interval(flags: Flags, { name, node }: { name: string; node: Node }): number | undefined {
  const text = flag(flags, name);
  if (text === undefined || text === "") return undefined;
  const value = nanoseconds(text, node);
  if (value !== 0 && value < 1e6) {
    throw dockerfileError(node, `Interval ${JSON.stringify(name)} cannot be less than 1ms`);
  }
  return value;
}

function nanoseconds(text: string, node: Node): number {
  try {
    return Number(parseDuration(text));
  } catch (err) {
    throw dockerfileError(node, `time: ${messageOf(err)}`);
  }
}
