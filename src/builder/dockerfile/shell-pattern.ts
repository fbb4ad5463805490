import { EngineError } from "../../errors/mod.ts";
import { spend } from "./budget.ts";

/**
 * Patterns of `${NAME#…}`, `${NAME%…}` and `${NAME/…/…}`: `*`, `?` and a backslash in front of `*`, `?`, itself, `}` or `/`
 * (BuildKit `shell/lex.go`, `convertShellPatternToRegex`). Neither `*` nor `?` matches a line end. Matched by following all
 * possibilities at once, in time proportional to text times pattern, whatever a Dockerfile thinks up.
 */
export type ShellPattern = readonly Token[];

type Token = { readonly kind: "any" } | { readonly kind: "one" } | { readonly kind: "char"; readonly char: string };

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
  let last = -1;
  while (at <= chars.length) {
    const found = firstMatch(chars, { pattern, from: at });
    if (!found) break;
    out += chars.slice(at, found.start).join("");
    at = found.end;
    // A match of nothing right behind another one is none (Go's `regexp`).
    if (found.end > found.start || found.start !== last) {
      spend(replacement.length);
      out += replacement;
    }
    last = found.end;
    if (found.end === found.start) out += chars[at++] ?? "";
    if (!all) break;
  }
  return out + chars.slice(at).join("");
}

/** For each place in the pattern where the match that has come so far began; -1 where none has. Of two the earlier counts. */
type States = Int32Array;

const nowhere = -1;

/** Where a match that starts at 0 ends. */
function prefixEnd(chars: readonly string[], pattern: ShellPattern, longest: boolean): number | undefined {
  let best: number | undefined;
  let states = started(pattern, 0);
  for (let at = 0; ; at++) {
    if (states[pattern.length] !== nowhere) best = at;
    if (at >= chars.length || (best !== undefined && !longest)) return best;
    states = stepped(pattern, { states, char: chars[at] ?? "" });
    if (states.every((start) => start === nowhere)) return best;
  }
}

interface Match {
  readonly start: number;
  readonly end: number;
}

function firstMatch(
  chars: readonly string[],
  { pattern, from }: { pattern: ShellPattern; from: number },
): Match | undefined {
  let best: Match | undefined;
  let states = started(pattern, from);
  for (let at = from; ; at++) {
    const start = states[pattern.length] ?? nowhere;
    if (start !== nowhere && (!best || start <= best.start)) best = { start, end: at };
    if (at >= chars.length) return best;
    states = stepped(pattern, { states, char: chars[at] ?? "" });
    if (best) forget(states, best.start);
    else if (states[0] === nowhere) begin(pattern, { states, at: at + 1 });
    if (best && states.every((one) => one === nowhere)) return best;
  }
}

/** What began later than the match that was found is of no interest. */
function forget(states: States, start: number): void {
  for (const [state, began] of states.entries()) if (began > start) states[state] = nowhere;
}

function started(pattern: ShellPattern, at: number): States {
  const states = new Int32Array(pattern.length + 1).fill(nowhere);
  begin(pattern, { states, at });
  return states;
}

/** A `*` may match nothing. */
function begin(pattern: ShellPattern, { states, at }: { states: States; at: number }): void {
  for (let state = 0; states[state] === nowhere; state++) {
    states[state] = at;
    if (pattern[state]?.kind !== "any") return;
  }
}

function stepped(pattern: ShellPattern, { states, char }: { states: States; char: string }): States {
  spend(10 * (pattern.length + 1));
  const next = new Int32Array(pattern.length + 1).fill(nowhere);
  for (let state = 0; state < pattern.length; state++) {
    const token = pattern[state];
    const start = states[state] ?? nowhere;
    if (token && start !== nowhere && (token.kind === "char" ? token.char === char : char !== "\n")) {
      enter(next, { state: token.kind === "any" ? state : state + 1, start });
    }
    const now = next[state] ?? nowhere;
    if (token?.kind === "any" && now !== nowhere) enter(next, { state: state + 1, start: now });
  }
  return next;
}

function enter(states: States, { state, start }: { state: number; start: number }): void {
  const known = states[state] ?? nowhere;
  if (known === nowhere || start < known) states[state] = start;
}
