import { posix } from "node:path";
import { EngineError } from "../errors/mod.ts";

/** Go's `filepath.Match`: `*` and `?` stay within one component, `[a-z]` and backslash as usual. Throws "invalid" for a malformed pattern. */
export function globPattern(pattern: string): RegExp {
  return new RegExp(`^${translate(pattern, { doubleStar: false })}$`, "su");
}

/** `globPattern` with `**`, which spans components. */
export function deepPattern(pattern: string): RegExp {
  return new RegExp(`^${translate(pattern, { doubleStar: true })}$`, "su");
}

export function isGlob(path: string): boolean {
  return /[*?[\\]/.test(path);
}

function translate(pattern: string, { doubleStar }: { doubleStar: boolean }): string {
  const chars = [...pattern];
  let out = "";
  for (let at = 0; at < chars.length; at++) {
    const ch = chars[at] ?? "";
    if (ch === "*") {
      const double = doubleStar && chars[at + 1] === "*";
      if (double) at++;
      if (double && chars[at + 1] === "/") at++;
      out += double ? (at + 1 >= chars.length ? ".*" : "(?:.*/)?") : "[^/]*";
    } else if (ch === "?") out += "[^/]";
    else if (ch === "\\") out += literal(escaped(chars[++at], pattern));
    else if (ch === "[") {
      const end = chars.indexOf("]", at + 2);
      if (end < 0) throw malformed(pattern);
      out += characterClass(chars.slice(at + 1, end));
      at = end;
    } else out += literal(ch);
  }
  return out;
}

function characterClass(chars: readonly string[]): string {
  const negated = chars[0] === "^";
  const body = chars
    .slice(negated ? 1 : 0)
    .map((ch) => (/[\][^&~|]/.test(ch) ? `\\${ch}` : ch))
    .join("");
  return `[${negated ? "^/" : ""}${body}]`;
}

function escaped(ch: string | undefined, pattern: string): string {
  if (ch === undefined) throw malformed(pattern);
  return ch;
}

function malformed(pattern: string): EngineError {
  return new EngineError("invalid", `syntax error in pattern ${JSON.stringify(pattern)}`);
}

function literal(ch: string): string {
  return /[\^$\\.*+?()[\]{}|/]/.test(ch) ? `\\${ch}` : ch;
}

/** The patterns of an ignore file: comments, blank lines, spaces and slashes around are taken away (moby `ignorefile.ReadAll`). */
export function readIgnoreFile(text: string): string[] {
  return text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => {
      const negated = line.startsWith("!");
      const pattern = cleaned(negated ? line.slice(1).trim() : line);
      return negated ? `!${pattern}` : pattern;
    });
}

function cleaned(pattern: string): string {
  if (pattern === "") return "";
  const clean = posix.normalize(pattern).replace(/(?<=.)\/$/, "");
  return clean.length > 1 ? clean.replace(/^\//, "") : clean;
}

/**
 * Whether a path is ignored: the last pattern that matches it, or a directory above it, decides; `!` takes it back in
 * (github.com/moby/patternmatcher, `MatchesOrParentMatches`). Throws "invalid": `illegal exclusion pattern: "!"`.
 */
export function ignoreMatcher(patterns: readonly string[]): (path: string) => boolean {
  const rules = patterns.map(rule);
  return (path) => {
    const parts = path.split("/");
    const prefixes = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
    let ignored = false;
    for (const { negated, pattern } of rules) {
      if (negated === ignored && prefixes.some(pattern)) ignored = !negated;
    }
    return ignored;
  };
}

function rule(text: string): { negated: boolean; pattern: (path: string) => boolean } {
  if (text === "!") throw new EngineError("invalid", 'illegal exclusion pattern: "!"');
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
