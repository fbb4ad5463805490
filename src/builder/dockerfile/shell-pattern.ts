import { EngineError } from "../../errors/mod.ts";

/**
 * Patterns of `${NAME#…}`, `${NAME%…}` and `${NAME/…/…}`: `*`, `?` and a backslash in front of `*`, `?`, itself, `}` or `/`
 * (BuildKit `shell/lex.go`, `convertShellPatternToRegex`). Neither `*` nor `?` matches a line end. Matched by following all
 * possibilities at once, in time proportional to text times pattern, whatever a Dockerfile thinks up.
 */
export type ShellPattern = readonly Token[];

type Token = { readonly kind: "any" } | { readonly kind: "one" } | { readonly kind: "char"; readonly char: string };

/** Most steps of one match: more would keep everybody else waiting. */
const mostSteps = 50_000_000;

/** Throws "invalid" for a backslash in front of another character. */
export function shellPattern(text: string): ShellPattern {
  const chars = [...text];
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? "";
    if (char === "*") tokens.push({ kind: "any" });
    else if (char === "?") tokens.push({ kind: "one" });
    else if (char === "\\") tokens.push({ kind: "char", char: escaped(chars[++at], text) });
    else tokens.push({ kind: "char", char });
  }
  return tokens;
}

function escaped(char: string | undefined, text: string): string {
  if (char !== undefined && "*?\\}/".includes(char)) return char;
  throw new EngineError("invalid", `invalid pattern (${text}) in substitution: invalid escape '\\${char ?? ""}'`);
}

/** The value without the shortest or longest prefix that matches. */
export function withoutPrefix(value: string, pattern: ShellPattern, longest: boolean): string {
  const chars = [...value];
  const end = prefixEnd(chars, pattern, longest);
  return end === undefined ? value : chars.slice(end).join("");
}

/** The value without the shortest or longest suffix that matches. */
export function withoutSuffix(value: string, pattern: ShellPattern, longest: boolean): string {
  const chars = [...value].reverse();
  const end = prefixEnd(chars, pattern.toReversed(), longest);
  return end === undefined ? value : chars.slice(end).reverse().join("");
}

/** The value with the first or every leftmost, longest match replaced. */
export function replaced(
  value: string,
  { pattern, replacement, all }: { pattern: ShellPattern; replacement: string; all: boolean },
): string {
  const chars = [...value];
  let out = "";
  let at = 0;
  while (at <= chars.length) {
    const found = firstMatch(chars, { pattern, from: at });
    if (!found) break;
    out += chars.slice(at, found.start).join("") + replacement;
    at = found.end;
    if (found.end === found.start) out += chars[at++] ?? "";
    if (!all) break;
  }
  return out + chars.slice(at).join("");
}

/** Where a match that starts at 0 ends. */
function prefixEnd(chars: readonly string[], pattern: ShellPattern, longest: boolean): number | undefined {
  bound(chars, pattern);
  let best: number | undefined;
  let states = closure(pattern, new Map([[0, 0]]));
  for (let at = 0; states.size > 0; at++) {
    if (states.has(pattern.length)) best = at;
    if (at >= chars.length || (best !== undefined && !longest)) break;
    states = closure(pattern, step(pattern, { states, char: chars[at] ?? "" }));
  }
  return best;
}

interface Match {
  readonly start: number;
  readonly end: number;
}

/** States carry where their match began; of two in one state the earlier wins. */
function firstMatch(
  chars: readonly string[],
  { pattern, from }: { pattern: ShellPattern; from: number },
): Match | undefined {
  bound(chars, pattern);
  let best: Match | undefined;
  let states = new Map<number, number>();
  for (let at = from; at <= chars.length; at++) {
    if (!best && !states.has(0)) states.set(0, at);
    states = closure(pattern, states);
    const start = states.get(pattern.length);
    if (start !== undefined && (!best || start <= best.start)) best = { start, end: at };
    const { start: first = Number.POSITIVE_INFINITY } = best ?? {};
    for (const [state, began] of states) if (began > first) states.delete(state);
    if (states.size === 0) break;
    states = step(pattern, { states, char: chars[at] ?? "\n" });
  }
  return best;
}

function bound(chars: readonly string[], pattern: ShellPattern): void {
  if (chars.length * (pattern.length + 1) <= mostSteps) return;
  throw new EngineError(
    "invalid",
    `a pattern of ${pattern.length} characters is too long for a value of ${chars.length}`,
  );
}

/** A `*` may match nothing. */
function closure(pattern: ShellPattern, states: Map<number, number>): Map<number, number> {
  for (const [state, start] of states) if (pattern[state]?.kind === "any") enter(states, { state: state + 1, start });
  return states;
}

function step(
  pattern: ShellPattern,
  { states, char }: { states: ReadonlyMap<number, number>; char: string },
): Map<number, number> {
  const next = new Map<number, number>();
  for (const [state, start] of states) {
    const token = pattern[state];
    if (token && (token.kind === "char" ? token.char === char : char !== "\n")) {
      enter(next, { state: token.kind === "any" ? state : state + 1, start });
    }
  }
  return next;
}

/** Map iteration sees what is added, and a state that is set again keeps its turn. */
function enter(states: Map<number, number>, { state, start }: { state: number; start: number }): void {
  const known = states.get(state);
  if (known !== undefined && known <= start) return;
  states.delete(state);
  states.set(state, start);
}
