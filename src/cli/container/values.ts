import { readFileSync } from "node:fs";
import { EngineError, messageOf } from "../../errors/mod.ts";

/** Values of flags, from what people write. Every failure is "invalid" and names the value. */

const sizeUnits: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** Bytes: `512m`, `1.5g`, `64MiB`, `-1`. */
export function bytesOf(flag: string, given: string): number {
  if (given === "") return 0;
  if (given === "-1") return -1;
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgtp]?)(?:i?b)?$/i.exec(given);
  const unit = sizeUnits[match?.[2]?.toLowerCase() ?? "?"];
  if (!match || unit === undefined) throw bad(flag, given, "a size such as 512m is expected");
  return Math.floor(Number(match[1]) * unit);
}

/** CPUs as nanoseconds of CPU time a second. */
export function nanoCpus(given: string): number {
  if (given === "") return 0;
  if (!/^\d+(\.\d{1,9})?$/.test(given)) throw bad("cpus", given, "a number of CPUs such as 0.5 is expected");
  return Math.round(Number(given) * 1e9);
}

const durationUnits: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Nanoseconds: `30s`, `1m30s`, `500ms`. */
export function nanosecondsOf(flag: string, given: string): number {
  if (given === "" || given === "0") return 0;
  const parts = [...given.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== given)
    throw bad(flag, given, "a duration such as 30s is expected");
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (durationUnits[unit ?? ""] ?? 0), 0);
}

/** `KEY=VALUE` pairs; a key alone has an empty value. */
export function pairs(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(given.map((one) => splitOnce(one, "=")).map(([key, value]) => [key, value ?? ""]));
}

/** Lines of `--env-file` and `--label-file`, without comments and empty ones. */
export function linesOf(flag: string, path: string): string[] {
  try {
    const text = readFileSync(path, "utf8").replace(/^\uFEFF/, "");
    return text
      .split(/\r?\n/)
      .map((line) => line.trimStart())
      .filter((line) => line !== "" && !line.startsWith("#"));
  } catch (err) {
    throw bad(flag, path, messageOf(err));
  }
}

/** `--env`: a name alone takes the value of this program's environment, or is left out when there is none. */
export function environment(given: readonly string[], env: Readonly<Record<string, string | undefined>>): string[] {
  return given.flatMap((one) => {
    const [name, value] = splitOnce(one, "=");
    if (name === "") throw bad("env", one, "invalid environment variable");
    if (value !== undefined) return [one];
    const own = env[name];
    return own === undefined ? [] : [`${name}=${own}`];
  });
}

export function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** One line of CSV, where quotes keep commas together (`--mount`, `--secret`). */
export function csv(text: string): string[] {
  const fields = [...text.matchAll(/(?:^|,)("(?:[^"]|"")*"|[^,]*)/g)].map((match) => match[1] ?? "");
  return fields.map((field) => (field.startsWith('"') ? field.slice(1, -1).replace(/""/g, '"') : field));
}

export function bad(flag: string, given: string, reason: string): EngineError {
  return new EngineError("invalid", `invalid value ${JSON.stringify(given)} for --${flag}: ${reason}`);
}
