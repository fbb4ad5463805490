import { shellWords } from "./expand.ts";

/** A here-document of COPY, ADD or RUN: `<<EOF`, `<<-EOF`, `<< EOF`, `<<"EOF"`, `3<<EOF`. */
export interface Heredoc {
  /** The word that ends it, quotes removed; also the file's name where COPY makes a file of it. */
  readonly name: string;
  /** False when the delimiter was quoted: the text is taken as it is. */
  readonly expand: boolean;
  /** `<<-`: leading tabs are to be taken away. */
  readonly chomp: boolean;
  /** As it stands in the file. */
  readonly content: string;
}

export type HeredocStart = Omit<Heredoc, "content">;

const wordPattern = /^\d*<<(-?)\s*([^<]+)$/;
/** Here-documents know the backslash alone as an escape, whatever the escape directive says (BuildKit `parser.go`). */
const lexer = { escape: "\\", env: new Map<string, string>(), keepUnset: true } as const;

/** The start of a here-document if this word is one (BuildKit `parser.go`, `ParseHeredoc`). */
export function heredocStart(word: string): HeredocStart | undefined {
  const match = wordPattern.exec(word);
  const rest = match?.[2] ?? "";
  const [name, ...more] = wordsOf(rest, false);
  const [quoted = ""] = wordsOf(rest, true);
  if (name === undefined || more.length > 0) return undefined;
  return { name, expand: quotes(name) === quotes(quoted), chomp: match?.[1] === "-" };
}

/** The here-documents that a line starts, in the order of their words; none when its quotes do not match. */
export function heredocsOfLine(line: string): HeredocStart[] {
  return wordsOf(line, true)
    .map(heredocStart)
    .filter((start) => start !== undefined);
}

/** What the here-document's reader gets. */
export function textOf({ content, chomp }: Pick<Heredoc, "content" | "chomp">): string {
  return chomp ? content.replace(/^\t+/gm, "") : content;
}

function wordsOf(text: string, rawQuotes: boolean): readonly string[] {
  try {
    return shellWords(text, { ...lexer, rawQuotes, rawEscapes: rawQuotes });
  } catch {
    return [];
  }
}

function quotes(text: string): number {
  return text.replace(/[^'"]/g, "").length;
}
