import type { AnyCommand, Group } from "./command.ts";

export interface Aliased {
  readonly target: AnyCommand | Group;
  readonly aliases: readonly string[];
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

export function aliased(target: AnyCommand | Group, ...aliases: string[]): Aliased {
  return { target, aliases };
}

/** The same command under another name: `berth ps` is `berth container ls`. */
export function named(target: AnyCommand, name: string): AnyCommand {
  return { ...target, name };
}
