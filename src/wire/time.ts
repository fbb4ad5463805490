import { EngineError } from "../errors/mod.ts";

const second = 1_000_000_000n;
const units: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const duration = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)/;

/**
 * An instant as `since` and `until` carry it, in nanoseconds since 1970: Unix seconds with up to nine decimals, RFC 3339
 * with or without time and zone (UTC then), or a Go duration before `now` (moby `timetypes.GetTimestamp`). Throws "invalid".
 */
export function parseInstant(text: string, now: bigint): bigint {
  if (/^-?\d+(?:\.\d*)?$/.test(text)) return fromUnix(text);
  if (duration.test(text)) return now - parseDuration(text);
  return fromRfc3339(text);
}

/** A Go duration such as `1h30m`, `1.5s` or `-10ms`, in nanoseconds. Throws "invalid". */
export function parseDuration(text: string): bigint {
  let rest = text.replace(/^[+-]/, "");
  let total = 0;
  if (rest === "0") return 0n;
  do {
    const part = /^(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/.exec(rest);
    if (!part) throw new EngineError("invalid", durationProblem(rest, text.slice(0, 100)));
    total += Number(part[1]) * (units[part[2] ?? ""] ?? 0);
    rest = rest.slice(part[0].length);
  } while (rest !== "");
  if (total > Number.MAX_SAFE_INTEGER * 1000)
    throw new EngineError("invalid", `duration too long: ${text.slice(0, 100)}`);
  return BigInt(Math.round(total)) * (text.startsWith("-") ? -1n : 1n);
}

/** In the words of Go's `time.ParseDuration`. */
function durationProblem(rest: string, text: string): string {
  const shown = JSON.stringify(text);
  const [, unit] = /^(?:\d+(?:\.\d*)?|\.\d+)([^\d.]*)/.exec(rest) ?? [];
  if (unit === undefined) return `invalid duration ${shown}`;
  return unit === ""
    ? `missing unit in duration ${shown}`
    : `unknown unit ${JSON.stringify(unit)} in duration ${shown}`;
}

/** RFC 3339 in UTC with as many decimals as are needed, as Go's encoder writes a time; nanoseconds since 1970. */
export function formatInstant(nanos: bigint): string {
  const fraction = ((nanos % second) + second) % second;
  const whole = new Date(Number((nanos - fraction) / 1_000_000n)).toISOString().slice(0, 19);
  const decimals = String(fraction).padStart(9, "0").replace(/0+$/, "");
  return `${whole}${decimals === "" ? "" : `.${decimals}`}Z`;
}

function fromUnix(text: string): bigint {
  const [whole = "", fraction = ""] = text.split(".");
  if (whole.length > 12) throw bad(text);
  const nanos = BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  return BigInt(whole) * second + (whole.startsWith("-") ? -nanos : nanos);
}

function fromRfc3339(text: string): bigint {
  const parts = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(text);
  if (!parts) throw bad(text);
  const [, date, hour = "00", minute = "00", seconds = "00", fraction = "", zone = "Z"] = parts;
  const millis = Date.parse(`${date}T${hour}:${minute}:${seconds}${zone}`);
  if (Number.isNaN(millis)) throw bad(text);
  return BigInt(millis) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

function bad(text: string): EngineError {
  return new EngineError("invalid", `invalid timestamp ${JSON.stringify(text.slice(0, 100))}`);
}
