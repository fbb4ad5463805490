import type { Client } from "../client/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { type FlagSet, parseFlags, type Values } from "../flags/mod.ts";
import type { CliIo } from "./io.ts";

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
  readonly args: { readonly min: number; readonly max?: number };
  /** False where flags end at the first argument, since what follows belongs to the container's command. */
  readonly interspersed?: boolean;
  /** Exit status of a failure before the container's own process had a chance to run (docker: 125 for run and exec). */
  readonly failureStatus?: number;
  /** Returns the exit status. Throws an EngineError to fail with its message. */
  run(call: Call<F>, io: CliIo): Promise<number>;
}

export interface Call<F extends FlagSet> {
  readonly flags: Values<F>;
  readonly given: ReadonlySet<string>;
  readonly args: readonly string[];
  /** Connects on first use, so that commands that need no daemon run without one. */
  readonly client: Client;
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
  readonly failureStatus: number;
  execute(argv: readonly string[], context: { readonly io: CliIo; readonly client: Client }): Promise<number>;
}

/** Commands under one noun: `berth container …`. */
export interface Group {
  readonly kind: "group";
  readonly name: string;
  readonly summary: string;
  /** By every word that calls them, aliases included; the first word of a command is the one that help shows. */
  readonly commands: ReadonlyMap<string, AnyCommand | Group>;
}

export function command<F extends FlagSet>(definition: Command<F>): AnyCommand {
  const interspersed = definition.interspersed ?? true;
  return {
    kind: "command",
    name: definition.name,
    summary: definition.summary,
    usage: definition.usage,
    examples: definition.examples,
    flags: definition.flags,
    interspersed,
    failureStatus: definition.failureStatus ?? 1,
    execute(argv, { io, client }) {
      const { values, rest, given } = parseFlags(definition.flags, argv, { interspersed });
      checkCount(definition.name, definition.args, rest.length);
      return definition.run({ flags: values, given, args: rest, client }, io);
    },
  };
}

/** Each entry is a command, or a command with further words that call it too. */
export function group(name: string, summary: string, commands: readonly (AnyCommand | Group | Aliased)[]): Group {
  const byWord = new Map<string, AnyCommand | Group>();
  for (const entry of commands) {
    const [target, aliases] = "target" in entry ? [entry.target, entry.aliases] : [entry, []];
    for (const word of [target.name, ...aliases]) byWord.set(word, target);
  }
  return { kind: "group", name, summary, commands: byWord };
}

export interface Aliased {
  readonly target: AnyCommand | Group;
  readonly aliases: readonly string[];
}

export function aliased(target: AnyCommand | Group, ...aliases: string[]): Aliased {
  return { target, aliases };
}

/** The same command under another name: `berth ps` is `berth container ls`. */
export function named(target: AnyCommand, name: string): AnyCommand {
  return { ...target, name };
}

function checkCount(name: string, { min, max }: { min: number; max?: number }, count: number): void {
  const plural = (n: number) => `${n} argument${n === 1 ? "" : "s"}`;
  if (min === max && count !== min)
    throw new EngineError("invalid", `"berth ${name}" requires exactly ${plural(min)}.`);
  if (count < min) throw new EngineError("invalid", `"berth ${name}" requires at least ${plural(min)}.`);
  if (max !== undefined && count > max)
    throw new EngineError("invalid", `"berth ${name}" requires at most ${plural(max)}.`);
}
