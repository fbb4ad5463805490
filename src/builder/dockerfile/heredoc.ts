import { quotedWords } from "./arguments.ts";
import { shellWord } from "./expand.ts";

/** A here-document of COPY, ADD or RUN: `<<EOF`, `<<-EOF`, `<<"EOF"`. */
export interface Heredoc {
  /** The word that ends it, quotes removed; also the file's name where COPY makes a file of it. */
  readonly name: string;
  /** False when the delimiter was quoted: the text is taken as it is. */
  readonly expand: boolean;
  /** `<<-`: leading tabs are taken away. */
  readonly chomp: boolean;
  readonly content: string;
}

export type HeredocStart = Omit<Heredoc, "content">;

const wordPattern = /^(\d*)<<(-?)([^<]*)$/;

/** The start of a here-document if this word is one (BuildKit `parser.go`, `ParseHeredoc`). */
export function heredocStart(word: string, mark: string): HeredocStart | undefined {
  const match = wordPattern.exec(word);
  const rest = match?.[3] ?? "";
  if (match?.[1] !== "" || quotedWords(rest, mark).length !== 1) return undefined;
  const name = unquoted(rest, mark);
  if (name === undefined || name === "") return undefined;
  return { name, expand: name === rest, chomp: match[2] === "-" };
}

/** The here-documents that a line starts, in the order of their words. */
export function heredocsOfLine(line: string, mark: string): HeredocStart[] {
  return quotedWords(line, mark)
    .map((word) => heredocStart(word, mark))
    .filter((start) => start !== undefined);
}

/** `content` with the tabs of `<<-` taken away. */
export function chomped(content: string): string {
  return content.replace(/^\t+/gm, "");
}

function unquoted(word: string, mark: string): string | undefined {
  try {
    return shellWord(word.replaceAll("$", `${mark}$`), { escape: mark, env: new Map() });
  } catch {
    return undefined;
  }
}
