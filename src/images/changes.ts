import { posix } from "node:path";
import { EngineError, wrap } from "../errors/mod.ts";
import type { Healthcheck, ImageRunConfig } from "../oci/mod.ts";
import { type Environment, expandWord, splitWords } from "./shell-words.ts";

/** A run config while instructions are applied to it. */
interface State {
  config: ImageRunConfig;
  /** A CMD came before, so that ENTRYPOINT does not clear the inherited one. */
  cmdSet: boolean;
}

type Change = (state: State, rest: string) => ImageRunConfig;

const changes: Readonly<Record<string, Change>> = {
  cmd: changeCmd,
  entrypoint: changeEntrypoint,
  env: changeEnv,
  expose: changeExpose,
  healthcheck: changeHealthcheck,
  label: changeLabel,
  onbuild: changeOnBuild,
  stopsignal: changeStopSignal,
  user: changeUser,
  volume: changeVolume,
  workdir: changeWorkdir,
};

/**
 * Applies the Dockerfile instructions that `import --change` and `commit --change` take. Throws "invalid":
 * `X is not a valid change command` for others, else naming the instruction.
 */
export function applyChanges(config: ImageRunConfig, instructions: readonly string[]): ImageRunConfig {
  const state: State = { config, cmdSet: false };
  for (const line of instructions.flatMap(linesOf)) {
    const [, word = "", rest = ""] = /^(\S+)\s*([\s\S]*)$/.exec(line) ?? [];
    const change = Object.hasOwn(changes, word.toLowerCase()) ? changes[word.toLowerCase()] : undefined;
    if (!change) throw new EngineError("invalid", `${word} is not a valid change command`);
    if (rest.trim() === "") throw new EngineError("invalid", `${word.toUpperCase()} requires at least one argument`);
    try {
      state.config = change(state, rest.trim());
    } catch (err) {
      throw wrap(err, line.slice(0, 200));
    }
  }
  return state.config;
}

/** Lines with their continuations; comments and empty lines left out. */
function linesOf(text: string): string[] {
  return text
    .replace(/\\[ \t]*\r?\n/g, "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

function changeCmd(state: State, rest: string): ImageRunConfig {
  state.cmdSet = true;
  return { ...state.config, Cmd: commandOf(state.config, rest) };
}

function changeEntrypoint({ config, cmdSet }: State, rest: string): ImageRunConfig {
  return { ...config, Entrypoint: commandOf(config, rest), ...(!cmdSet && { Cmd: null }) };
}

function changeEnv({ config }: State, rest: string): ImageRunConfig {
  const env = new Map(pairsOf(config.Env ?? []));
  for (const [name, value] of namedValues("ENV", rest, environmentOf(config))) env.set(name, value);
  return { ...config, Env: [...env].map(([name, value]) => `${name}=${value}`) };
}

function changeLabel({ config }: State, rest: string): ImageRunConfig {
  const added = namedValues("LABEL", rest, environmentOf(config));
  return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(added) } };
}

function changeExpose({ config }: State, rest: string): ImageRunConfig {
  const env = environmentOf(config);
  const ports = splitWords(rest).flatMap((word) => portsOf(expandWord(word, env)));
  return {
    ...config,
    ExposedPorts: { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) },
  };
}

function changeVolume({ config }: State, rest: string): ImageRunConfig {
  const env = environmentOf(config);
  const paths = (jsonStrings(rest) ?? splitWords(rest)).map((word) => expandWord(word, env));
  if (paths.some((path) => path.trim() === ""))
    throw new EngineError("invalid", "VOLUME specified can not be an empty string");
  return { ...config, Volumes: { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) } };
}

function changeUser({ config }: State, rest: string): ImageRunConfig {
  return { ...config, User: oneWord("USER", rest, config) };
}

function changeWorkdir({ config }: State, rest: string): ImageRunConfig {
  const path = expandWord(rest, environmentOf(config));
  return { ...config, WorkingDir: posix.resolve("/", config.WorkingDir || "/", path) };
}

function changeStopSignal({ config }: State, rest: string): ImageRunConfig {
  const signal = oneWord("STOPSIGNAL", rest, config);
  if (!/^(\d{1,2}|[A-Za-z][A-Za-z0-9+-]*)$/.test(signal)) throw new EngineError("invalid", `invalid signal: ${signal}`);
  return { ...config, StopSignal: signal };
}

function changeOnBuild({ config }: State, rest: string): ImageRunConfig {
  const trigger = (/^\S+/.exec(rest)?.[0] ?? "").toUpperCase();
  if (trigger === "ONBUILD") throw new EngineError("invalid", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === "FROM" || trigger === "MAINTAINER") {
    throw new EngineError("invalid", `${trigger} isn't allowed as an ONBUILD trigger`);
  }
  return { ...config, OnBuild: [...(config.OnBuild ?? []), rest] };
}

const healthFlags: Readonly<Record<string, keyof Healthcheck>> = {
  "--interval": "Interval",
  "--timeout": "Timeout",
  "--start-period": "StartPeriod",
  "--start-interval": "StartInterval",
};

function changeHealthcheck({ config }: State, rest: string): ImageRunConfig {
  const flags: Record<string, number> = {};
  let left = rest;
  for (let flag = /^(--[a-z-]+)=(\S*)\s*/.exec(left); flag; flag = /^(--[a-z-]+)=(\S*)\s*/.exec(left)) {
    const [whole, name = "", value = ""] = flag;
    flags[name === "--retries" ? "Retries" : healthFlag(name)] =
      name === "--retries" ? countOf(value) : nanosecondsOf(value);
    left = left.slice(whole.length);
  }
  const [, kind = "", command = ""] = /^(\S+)\s*([\s\S]*)$/.exec(left) ?? [];
  if (kind.toUpperCase() === "NONE") return { ...config, Healthcheck: { Test: ["NONE"] } };
  if (kind.toUpperCase() !== "CMD")
    throw new EngineError("invalid", `Unknown type ${JSON.stringify(kind)} in HEALTHCHECK (try CMD)`);
  if (command === "") throw new EngineError("invalid", "Missing command after HEALTHCHECK CMD");
  const exec = jsonStrings(command);
  return { ...config, Healthcheck: { Test: exec ? ["CMD", ...exec] : ["CMD-SHELL", command], ...flags } };
}

function healthFlag(name: string): string {
  const field = healthFlags[name];
  if (!field) throw new EngineError("invalid", `Unknown flag: ${name.slice(2)}`);
  return field;
}

function countOf(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new EngineError("invalid", `--retries must be at least 0, not ${JSON.stringify(text)}`);
}

const unitNanoseconds: Readonly<Record<string, number>> = {
  h: 3600e9,
  m: 60e9,
  s: 1e9,
  ms: 1e6,
  us: 1e3,
  µs: 1e3,
  ns: 1,
};

function nanosecondsOf(text: string): number {
  if (!/^(\d+(\.\d+)?(h|ms|m|s|us|µs|ns))+$/.test(text))
    throw new EngineError("invalid", `invalid duration ${JSON.stringify(text)}`);
  let total = 0;
  for (const [, count, unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g)) {
    total += Number(count) * (unitNanoseconds[unit] ?? 0);
  }
  return Math.round(total);
}

function commandOf(config: ImageRunConfig, rest: string): string[] {
  return jsonStrings(rest) ?? [...(config.Shell ?? ["/bin/sh", "-c"]), rest];
}

/** The strings of a JSON list; undefined for anything else, which is then taken as shell text. */
function jsonStrings(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((item) => typeof item === "string") ? list : undefined;
  } catch {
    return undefined;
  }
}

/** `80`, `80/udp`, `8000-8002/tcp`, each port in full. */
function portsOf(word: string): string[] {
  const [, from = "", to, protocol = "tcp"] = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/([A-Za-z]+))?$/.exec(word) ?? [];
  const [first, last] = [Number(from), Number(to ?? from)];
  if (from === "" || first > last || last > 65535) throw new EngineError("invalid", `Invalid containerPort: ${word}`);
  if (!/^(tcp|udp|sctp)$/i.test(protocol)) throw new EngineError("invalid", `Invalid proto: ${protocol}`);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol.toLowerCase()}`);
}

/** `a=b c="d e"`, or the old form `a everything else`. */
function namedValues(what: string, rest: string, env: Environment): [string, string][] {
  const words = splitWords(rest);
  const [first = ""] = words;
  if (!first.includes("=")) {
    const value = rest.slice(first.length).trim();
    if (value === "") throw new EngineError("invalid", `${what} must have two arguments`);
    return [[nonEmpty(what, expandWord(first, env)), expandWord(value, env)]];
  }
  return words.map((word) => {
    const at = word.indexOf("=");
    if (at < 0)
      throw new EngineError(
        "invalid",
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    return [nonEmpty(what, expandWord(word.slice(0, at), env)), expandWord(word.slice(at + 1), env)];
  });
}

function nonEmpty(what: string, name: string): string {
  if (name === "") throw new EngineError("invalid", `${what} names can not be blank`);
  return name;
}

function oneWord(what: string, rest: string, config: ImageRunConfig): string {
  const words = splitWords(rest);
  if (words.length !== 1) throw new EngineError("invalid", `${what} requires exactly one argument`);
  return expandWord(words[0] ?? "", environmentOf(config));
}

function environmentOf(config: ImageRunConfig): Environment {
  return new Map(pairsOf(config.Env ?? []));
}

function pairsOf(env: readonly string[]): [string, string][] {
  return env.map((text) => {
    const at = text.indexOf("=");
    return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
  });
}
