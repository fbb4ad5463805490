import { readFileSync } from "node:fs";
import { EngineError, messageOf } from "../../errors/mod.ts";
import { parseBytes } from "../../flags/mod.ts";

/** Values of flags, from what people write. Every failure is "invalid", in docker's words where it has some. */

/** Bytes, or -1 for no limit. */
export function parseSwap(given: string): number {
  return given === "-1" ? -1 : parseBytes(given);
}

/** CPUs as nanoseconds of CPU time a second: `0.5`, `1/2`. The engine says how many there are. */
export function parseCpus(given: string): number {
  const match = /^([+-]?\d+(?:\.\d*)?|\.\d+)(?:\/(\d+))?$/.exec(given);
  const cpus = Number(match?.[1]) / Number(match?.[2] ?? 1);
  if (!match || !Number.isFinite(cpus)) throw invalid(`failed to parse ${given} as a rational number`);
  const nano = cpus * 1e9;
  if (Math.abs(nano - Math.round(nano)) > 1e-6) throw invalid("value is too precise");
  return Math.round(nano);
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

/** Nanoseconds: `30s`, `1m30s`, `500ms`, `0`. */
export function parseNanoseconds(given: string): number {
  if (given === "0") return 0;
  const parts = [...given.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== given)
    throw invalid(`time: invalid duration ${JSON.stringify(given)}`);
  return Math.round(parts.reduce((sum, [, count, unit]) => sum + Number(count) * (durationUnits[unit ?? ""] ?? 0), 0));
}

/** `KEY=VALUE` pairs; a key alone has an empty value. */
export function pairs(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(given.map((one) => splitOnce(one, "=")).map(([key, value]) => [key, value ?? ""]));
}

/** Lines of `--env-file` and `--label-file`, without comments and empty ones. */
export function linesOf(path: string): string[] {
  try {
    const text = readFileSync(path, "utf8").replace(/^\uFEFF/, "");
    return text
      .split(/\r?\n/)
      .map((line) => line.trimStart())
      .filter((line) => line !== "" && !line.startsWith("#"));
  } catch (err) {
    const missing = err instanceof Error && "code" in err && err.code === "ENOENT";
    throw invalid(missing ? `open ${path}: no such file or directory` : `read ${path}: ${messageOf(err)}`);
  }
}

/** One `--env`: a name, or a name and a value. */
export function parseEnvironment(given: string): string {
  if (given === "" || given.startsWith("=")) throw invalid(`invalid environment variable: ${given}`);
  return given;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A name alone takes the value of this program's environment; where there is none it stays a name, which takes the image's value away. */
export function environment(given: readonly string[], env: Environment): string[] {
  return given.map((one) => (one.includes("=") || env[one] === undefined ? one : `${one}=${env[one]}`));
}

/** The lines of an `--env-file`; there a name without a value anywhere is left out. Throws "invalid" for names with blanks in them. */
export function environmentFile(path: string, env: Environment): string[] {
  const lines = linesOf(path);
  for (const line of lines) {
    const [name] = splitOnce(line, "=");
    if (name === "") throw invalid(`invalid env file (${path}): no variable name on line '${line}'`);
    if (/\s/.test(name)) throw invalid(`invalid env file (${path}): variable '${name}' contains whitespaces`);
  }
  return environment(lines, env).filter((line) => line.includes("="));
}

/** `HOST:IP` or `HOST=IP`, with or without brackets around an IPv6 address; as the API wants it. */
export function parseExtraHost(given: string): string {
  const at = given.search(/[:=]/);
  const address = bracketless(given.slice(at + 1));
  if (at <= 0 || address === "") throw invalid(`bad format for add-host: ${JSON.stringify(given)}`);
  if (address !== "host-gateway" && !isAddress(address))
    throw invalid(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  return `${given.slice(0, at)}:${address}`;
}

/** `[::1]` is how an IPv6 address is told from what stands around it. */
export function bracketless(address: string): string {
  return address.replace(/^\[(.*)\]$/, "$1");
}

/** An IP address of either family, as the URL parser (the only one without a heavy import) understands it. */
export function isAddress(text: string): boolean {
  if (/^(\d{1,3}\.){3}\d{1,3}$/.test(text)) return text.split(".").every((part) => Number(part) <= 255);
  return text.includes(":") && URL.canParse(`http://[${text}]/`);
}

export function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** Go's `strconv.ParseBool`. */
export function parseBoolean(given: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(given)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(given)) return false;
  return undefined;
}

export function invalid(reason: string): EngineError {
  return new EngineError("invalid", reason);
}
