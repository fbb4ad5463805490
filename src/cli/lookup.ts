import { editDistance } from "../patterns/mod.ts";
import type { AnyCommand, Group } from "./command.ts";

export interface Found {
  readonly target: AnyCommand | Group;
  /** The words that led there. */
  readonly words: readonly string[];
  readonly rest: readonly string[];
}

/** Follows words as far as they name something. */
export function find(from: Group, argv: readonly string[]): Found {
  let target: AnyCommand | Group = from;
  let count = 0;
  while (target.kind === "group") {
    const next: AnyCommand | Group | undefined = target.commands.get(argv[count] ?? "");
    if (!next) break;
    target = next;
    count++;
  }
  return { target, words: argv.slice(0, count), rest: argv.slice(count) };
}

/** What to say about a word that names nothing, with the one that was probably meant. */
export function unknownWord(target: Group, { word, words }: { word: string; words: string }): string {
  if (word.startsWith("-")) return `unknown flag: ${word}\n\nRun '${words} --help' for more information\n`;
  const near = [...target.commands.keys()].find((key) => editDistance(key, word) <= 2);
  const hint = near ? `\n\nDid you mean '${words} ${near}'?` : "";
  return `berth: unknown command: ${words} ${word}${hint}\n\nRun '${words} --help' for more information\n`;
}
