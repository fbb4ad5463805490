import type { Lines } from "./error.ts";

export interface Source {
  /** As the user named it, for the first line. */
  readonly name: string;
  readonly text: string;
}

const rule = "-".repeat(20);
/** What is quoted of one instruction; a hostile one has 65,535 bytes a line and millions of lines. */
const mostLines = 40;
const mostCharacters = 400;

/** Quotes of one source, for those who need many: its lines are found once. */
export function quoter({ name, text }: Source): (lines: Lines) => string {
  const lines = text.split("\n");
  return (place) => quoted({ name, lines }, place);
}

/** The lines with some around them and a mark in front of each, as BuildKit prints them (`solver/errdefs/source.go`); "" for lines that are not there. */
export function quoteLines(source: Source, place: Lines): string {
  return quoter(source)(place);
}

function quoted({ name, lines }: { name: string; lines: readonly string[] }, { line, endLine }: Lines): string {
  if (line < 1 || line > lines.length) return "";
  const last = Math.min(Math.max(endLine, line), lines.length);
  const { from, to } = around(line, last, lines.length);
  const shown: string[] = [];
  for (let at = from; at <= to; at++) {
    const mark = at >= line && at <= last ? ">>>" : "   ";
    if (shown.length < mostLines)
      shown.push(` ${String(at).padStart(3)} | ${mark} ${printable(lines[at - 1] ?? "")}\n`);
  }
  const more = to - from + 1 - shown.length;
  if (more > 0) shown.push(` ... | ${more} more lines\n`);
  return `${name}:${line}\n${rule}\n${shown.join("")}${rule}\n`;
}

/**
 * The text for who quotes these lines by counting them: nothing in it steers a terminal. When it has more than `most` bytes, only what
 * is quoted is left, at its place; undefined when that is too much as well.
 */
export function quotable({ text }: Source, { line, endLine }: Lines, most: number): string | undefined {
  const lines = text.split("\n").map(printable);
  const last = Math.min(Math.max(endLine, line), lines.length);
  const { from, to } = around(line, last, lines.length);
  const left = () => lines.slice(0, to).map((one, index) => (index + 1 < from ? "" : one));
  return [() => lines, left].map((some) => some().join("\n")).find((one) => Buffer.byteLength(one) <= most);
}

/** Two lines more around several, four around one, as far as there are any. */
function around(first: number, last: number, count: number): { from: number; to: number } {
  let [from, to] = [first, last];
  const pad = first === last ? 4 : 2;
  for (let added = 0; added < pad; added++) {
    if (from > 1) {
      from--;
      added++;
    }
    if (to !== count) {
      to++;
      added++;
    }
  }
  return { from, to };
}

/** Nothing of a Dockerfile steers a terminal. */
function printable(line: string): string {
  const cut = line.length > mostCharacters ? `${line.slice(0, mostCharacters)}…` : line;
  return cut.replace(/\r$/, "").replace(/(?!\t)\p{Cc}/gu, "\uFFFD");
}
