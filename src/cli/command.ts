import type { Client } from "../client/mod.ts";
import { messageOf } from "../errors/mod.ts";
import { bool, type FlagSet, parseFlags, type Values } from "../flags/mod.ts";
import { type CliIo, print, tell } from "./io.ts";

/**
 * One command: its words, its flags and what it does. Everything about it is data, so help, completion and the check
 * that documented commands exist are made from the same place as parsing.
 */
export interface Command<F extends FlagSet> {
  readonly name: string;
  readonly summary: string;
  /** What follows the command's name in the usage line. */
  readonly usage: string;
  /** Shell lines for `--help`, each one that works. */
  readonly examples: readonly string[];
  readonly flags: F;
  readonly args: ArgumentCount;
  /** False where flags end at the first argument, since what follows belongs to the container's command. */
  readonly interspersed?: boolean;
  /** Returns the exit status. Throws an EngineError to fail with its message and status 1. */
  run(call: Call<F>, io: CliIo): Promise<number>;
}

export interface ArgumentCount {
  readonly min: number;
  readonly max?: number;
}

export interface Call<F extends FlagSet> {
  readonly flags: Values<F>;
  readonly given: ReadonlySet<string>;
  readonly args: readonly string[];
  /** What called it, as it was typed: `berth container run`. */
  readonly words: string;
  /** Connects on first use, so that commands that need no daemon run without one. */
  readonly client: Client;
}

export interface Context {
  readonly io: CliIo;
  readonly client: Client;
  readonly words: string;
}

/** A command whose flag types are its own business. */
export interface AnyCommand {
  readonly kind: "command";
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  readonly examples: readonly string[];
  readonly flags: FlagSet;
  readonly interspersed: boolean;
  /** Returns the exit status, having told what went wrong. Never throws but for a failure to write. */
  execute(argv: readonly string[], context: Context): Promise<number>;
}

/** Commands under one noun: `berth container …`. */
export interface Group {
  readonly kind: "group";
  readonly name: string;
  readonly summary: string;
  /** By every word that calls them, aliases included; the first word of a command is the one that help shows. */
  readonly commands: ReadonlyMap<string, AnyCommand | Group>;
}

/** What docker's own command line exits with when it does not understand its flags. */
export const usageStatus = 125;

export function command<F extends FlagSet>(definition: Command<F>): AnyCommand {
  const { name, summary, usage, examples, flags, interspersed = true } = definition;
  const known = withHelp(flags);
  const execute = async (argv: readonly string[], context: Context): Promise<number> => {
    const { io, client, words } = context;
    const parsed = understood(() => parseFlags(known, argv, { interspersed }));
    if (typeof parsed === "string") return misused(context, { reason: parsed, usage, status: usageStatus });
    if (parsed.values["help"]) return showHelp(made, context);
    const wrong = wrongCount(definition.args, parsed.rest.length);
    if (wrong) return misused(context, { reason: `berth: '${words}' ${wrong}`, usage, status: 1 });
    const values = parsed.values as Values<F>;
    return definition.run({ flags: values, given: parsed.given, args: parsed.rest, words, client }, io);
  };
  const made: AnyCommand = { kind: "command", name, summary, usage, examples, flags, interspersed, execute };
  return made;
}

function withHelp(flags: FlagSet): FlagSet {
  const taken = Object.values(flags).some((flag) => flag.short === "h");
  return { ...flags, help: bool("Show help", taken ? {} : { short: "h" }) };
}

function understood<T>(parse: () => T): T | string {
  try {
    return parse();
  } catch (err) {
    return messageOf(err);
  }
}

async function showHelp(target: AnyCommand, { io, words }: Context): Promise<number> {
  const { commandHelp } = await import("./help.ts");
  await print(io, commandHelp(target, words));
  return 0;
}

interface Misuse {
  readonly reason: string;
  readonly usage: string;
  readonly status: number;
}

async function misused({ io, words }: Context, { reason, usage, status }: Misuse): Promise<number> {
  await tell(
    io,
    `${reason}\n\nUsage:  ${`${words} ${usage}`.trimEnd()}\n\nRun '${words} --help' for more information\n`,
  );
  return status;
}

function wrongCount({ min, max }: ArgumentCount, count: number): string | undefined {
  const plural = (n: number) => `${n} argument${n === 1 ? "" : "s"}`;
  if (max === 0 && count > 0) return "accepts no arguments";
  if (min === max && count !== min) return `requires ${plural(min)}`;
  if (count < min) return `requires at least ${plural(min)}`;
  if (max !== undefined && count > max) return `requires at most ${plural(max)}`;
  return undefined;
}
