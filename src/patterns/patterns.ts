import { posix } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { type GlobPiece, globSource, linearMatcher } from "./glob.ts";

/** A pattern of names: whether one matches, whatever both are, is found in a time that grows no faster than their lengths multiplied. */
export interface NamePattern {
  test(name: string): boolean;
}

/** Go's `filepath.Match`: `*` and `?` stay within one component, `[a-z]` and backslash as usual. Throws "invalid" for a malformed pattern. */
export function globPattern(pattern: string): NamePattern {
  return compiled(pattern, { doubleStar: false });
}

/** `globPattern` with `**`, which spans components. */
export function deepPattern(pattern: string): NamePattern {
  return compiled(pattern, { doubleStar: true });
}

/** Ways to divide a name among the stars that JavaScript's engine, which is fast and tries them all, may have. */
const mostWays = 1_000_000;

function compiled(pattern: string, options: { doubleStar: boolean }): NamePattern {
  const pieces = piecesOf(pattern, options);
  const stars = pieces.filter(({ kind }) => kind === "any" || kind === "directories").length;
  const quick = regular(globSource(pieces), pattern);
  let steady: ((name: string) => boolean) | undefined;
  return {
    test: (name) => {
      if (name.length ** stars <= mostWays) return quick.test(name);
      steady ??= linearMatcher(pieces);
      return steady(name);
    },
  };
}

function regular(source: string, pattern: string): RegExp {
  try {
    return new RegExp(`^${source}$`, "su");
  } catch {
    throw malformed(pattern); // such as a range that ends before it begins
  }
}

export function isGlob(path: string): boolean {
  return /[*?[\\]/.test(path);
}

function piecesOf(pattern: string, { doubleStar }: { doubleStar: boolean }): GlobPiece[] {
  const chars = [...pattern];
  const pieces: GlobPiece[] = [];
  for (let at = 0; at < chars.length; at++) {
    const ch = chars[at] ?? "";
    if (ch === "*") {
      const double = doubleStar && chars[at + 1] === "*";
      if (double) at++;
      if (double && chars[at + 1] === "/") at++;
      const isEnd = at + 1 >= chars.length;
      pieces.push(double && !isEnd ? { kind: "directories" } : { kind: "any", slashes: double });
    } else if (ch === "?") pieces.push({ kind: "one" });
    else if (ch === "\\") pieces.push({ kind: "literal", char: escaped(chars[++at], pattern) });
    else if (ch === "[") {
      const found = characterClass(chars, at + 1);
      if (!found) throw malformed(pattern);
      pieces.push({ kind: "class", source: found.source });
      at = found.end;
    } else pieces.push({ kind: "literal", char: ch });
  }
  return pieces;
}

/** A class behind its bracket, as Go reads it: ranges and characters, each of which a backslash may escape; undefined when it is none. */
function characterClass(chars: readonly string[], from: number): { source: string; end: number } | undefined {
  const negated = chars[from] === "^";
  const items: string[] = [];
  let at = negated ? from + 1 : from;
  for (let count = 0; chars[at] !== "]" || count === 0; count++) {
    const low = classCharacter(chars, at);
    const high = low && chars[low.next] === "-" ? classCharacter(chars, low.next + 1) : low;
    if (!low || !high || low.code > high.code) return undefined;
    items.push(`\\u{${low.code.toString(16)}}-\\u{${high.code.toString(16)}}`);
    at = high.next;
  }
  return { source: `[${negated ? "^" : ""}${items.join("")}]`, end: at };
}

function classCharacter(chars: readonly string[], at: number): { code: number; next: number } | undefined {
  const isEscape = chars[at] === "\\";
  const ch = chars[isEscape ? at + 1 : at];
  if (ch === undefined || (!isEscape && (ch === "-" || ch === "]"))) return undefined;
  return { code: ch.codePointAt(0) ?? 0, next: at + (isEscape ? 2 : 1) };
}

function escaped(ch: string | undefined, pattern: string): string {
  if (ch === undefined) throw malformed(pattern);
  return ch;
}

function malformed(pattern: string): EngineError {
  return new EngineError("invalid", `syntax error in pattern ${JSON.stringify(pattern)}`);
}

/** The patterns of an ignore file: comments, blank lines, spaces and slashes around are taken away (moby `ignorefile.ReadAll`). */
export function readIgnoreFile(text: string): string[] {
  return text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) =>
      cleanPattern(line)
        .replace(/^(!?)\/(?=.)/, "$1")
        .trim(),
    )
    .filter((pattern) => pattern !== "");
}

/** A pattern without what does not matter: blanks around, a slash at the end, `.` and `..` inside (moby `patternmatcher.New`). */
export function cleanPattern(text: string): string {
  const negated = text.startsWith("!");
  const pattern = cleaned(negated ? text.slice(1).trim() : text.trim());
  return negated ? `!${pattern}` : pattern;
}

function cleaned(pattern: string): string {
  if (pattern === "") return "";
  return posix.normalize(pattern).replace(/(?<=.)\/$/, "");
}

/**
 * Whether a path is ignored: the last pattern that matches it, or a directory above it, decides; `!` takes it back in
 * (github.com/moby/patternmatcher, `MatchesOrParentMatches`). Throws "invalid": `illegal exclusion pattern: "!"`.
 */
export function ignoreMatcher(patterns: readonly string[]): (path: string) => boolean {
  const rules = patterns.map(rule);
  return (path) => {
    const prefixes = [...prefixesOf(path)];
    let ignored = false;
    for (const { negated, pattern } of rules) {
      if (negated === ignored && prefixes.some(pattern)) ignored = !negated;
    }
    return ignored;
  };
}

/** The directories above a path and the path itself. */
function* prefixesOf(path: string): Generator<string> {
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) yield path.slice(0, at);
  yield path;
}

function rule(text: string): { negated: boolean; pattern: (path: string) => boolean } {
  if (text === "!" || text === "!/") throw new EngineError("invalid", 'illegal exclusion pattern: "!"');
  const negated = text.startsWith("!");
  return { negated, pattern: matcher(negated ? text.slice(1) : text) };
}

/** `**` in front of plain text is any beginning, also one that ends in the middle of a name, as patternmatcher has it. */
function matcher(pattern: string): (path: string) => boolean {
  const end = /^\*\*([^/*?[\]\\][^*?[\]\\]*)$/.exec(pattern)?.[1];
  if (end !== undefined) return (path) => path.endsWith(end);
  const regular = deepPattern(pattern);
  return (path) => regular.test(path);
}
