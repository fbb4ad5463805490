import { connect } from "../client/mod.ts";
import { EngineError, messageOf } from "../errors/mod.ts";
import { bool, parseFlags, text } from "../flags/mod.ts";
import { versionText } from "../version/mod.ts";
import type { AnyCommand, Group } from "./command.ts";
import { commandHelp, groupHelp } from "./help.ts";
import { type CliIo, print, processIo, write } from "./io.ts";
import { root } from "./tree.ts";

const globalFlags = {
  host: text("Engine to connect to (default: BERTH_HOST, DOCKER_HOST, unix:///run/berth.sock)", {
    short: "H",
    placeholder: "ADDR",
  }),
  help: bool("Show help", { short: "h" }),
  version: bool("Show the version", { short: "v" }),
};

/** Runs one command line and returns its exit status. Never throws. */
export async function cliMain(argv: readonly string[], io: CliIo = processIo()): Promise<number> {
  const quietPipe = (err: NodeJS.ErrnoException) => {
    if (err.code === "EPIPE") process.exit(0); // the reader (`head`, `less`) has seen enough
  };
  io.stdout.on("error", quietPipe);
  try {
    return await dispatch(argv, io);
  } catch (err) {
    await write(io.stderr, `berth: ${messageOf(err)}\n`);
    return 1;
  }
}

async function dispatch(argv: readonly string[], io: CliIo): Promise<number> {
  const { values, rest } = parseFlags(globalFlags, argv, { interspersed: false });
  if (values.version) return print(io, `${versionText()}\n`).then(() => 0);
  const found = find(root, rest);
  if (found.target.kind === "group") {
    const unknown = found.rest[0];
    if (unknown !== undefined && !isHelp(unknown)) throw unknownWord(found, unknown);
    await print(io, groupHelp(found.target, found.words, globalFlags));
    return values.help || unknown !== undefined || rest.length === 0 ? 0 : 1;
  }
  if (values.help || asksForHelp(found.target, found.rest)) {
    await print(io, commandHelp(found.target, found.words));
    return 0;
  }
  return execute(found.target, found, { io, host: hostOf(values.host, io) });
}

interface Found {
  readonly target: AnyCommand | Group;
  readonly words: readonly string[];
  readonly rest: readonly string[];
}

function find(from: Group, argv: readonly string[]): Found {
  let target: AnyCommand | Group = from;
  const words: string[] = [];
  let rest = argv;
  while (target.kind === "group") {
    const next: AnyCommand | Group | undefined = target.commands.get(rest[0] ?? "");
    if (!next) break;
    words.push(rest[0] ?? "");
    target = next;
    rest = rest.slice(1);
  }
  return { target, words, rest };
}

async function execute(target: AnyCommand, found: Found, { io, host }: { io: CliIo; host: string }): Promise<number> {
  try {
    return await target.execute(found.rest, { io, client: connect(host) });
  } catch (err) {
    if (err instanceof EngineError && err.kind === "canceled") return 130;
    await write(io.stderr, `berth: ${messageOf(err)}\n`);
    if (isUsage(err)) await write(io.stderr, `\nRun 'berth ${found.words.join(" ")} --help' for more information\n`);
    return target.failureStatus;
  }
}

function isUsage(err: unknown): boolean {
  return (
    err instanceof EngineError &&
    /^(unknown (flag|shorthand)|flag needs|invalid argument ".*" for|"berth .*" requires)/.test(err.message)
  );
}

function hostOf(given: string, io: CliIo): string {
  return given || io.env["BERTH_HOST"] || io.env["DOCKER_HOST"] || "unix:///run/berth.sock";
}

function isHelp(word: string): boolean {
  return word === "--help" || word === "-h" || word === "help";
}

/** `--help` before the first argument, where `-h` may be a flag of the command itself. */
function asksForHelp(target: AnyCommand, rest: readonly string[]): boolean {
  const before = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  const own = target.interspersed ? before : before.slice(0, firstArgument(before));
  return own.includes("--help");
}

function firstArgument(rest: readonly string[]): number {
  const at = rest.findIndex((word) => !word.startsWith("-"));
  return at < 0 ? rest.length : at;
}

function unknownWord(found: Found, word: string): EngineError {
  const at = ["berth", ...found.words].join(" ");
  const near =
    found.target.kind === "group"
      ? [...found.target.commands.keys()].find((key) => distance(key, word) <= 2)
      : undefined;
  const hint = near ? ` (did you mean ${near}?)` : "";
  return new EngineError("invalid", `${JSON.stringify(word)} is not a command of ${at}${hint}. See '${at} --help'`);
}

/** Levenshtein's edit distance; both words are short. */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
