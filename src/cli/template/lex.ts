import { EngineError } from "../../errors/mod.ts";

/** Go's text/template, as far as `--format` of docker's commands uses it: text and `{{ actions }}` with trim markers. */
export type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly tokens: readonly Token[]; readonly source: string };

export interface Token {
  readonly kind:
    | "field"
    | "variable"
    | "word"
    | "string"
    | "number"
    | "pipe"
    | "open"
    | "close"
    | "declare"
    | "comma"
    | "dot";
  readonly text: string;
}

/** Splits a template into text and actions. Throws "invalid" for an action that does not end. */
export function lex(template: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trimNext = false;
  while (at < template.length) {
    const start = template.indexOf("{{", at);
    const raw = start < 0 ? template.slice(at) : template.slice(at, start);
    const trimBefore = start >= 0 && /^\{\{- /.test(template.slice(start));
    let text = trimNext ? raw.trimStart() : raw;
    if (trimBefore) text = text.trimEnd();
    if (text !== "") pieces.push({ kind: "text", text });
    if (start < 0) break;
    const end = endOf(template, start + 2);
    const inner = template.slice(start + 2, end);
    trimNext = / -$/.test(inner);
    const source = inner.replace(/^- /, "").replace(/ -$/, "").trim();
    if (!/^\/\*[\s\S]*\*\/$/.test(source)) pieces.push({ kind: "action", tokens: tokens(source), source });
    at = end + 2;
  }
  return pieces;
}

/** Where the closing braces are; braces inside quotes do not count. */
function endOf(template: string, from: number): number {
  for (let at = from; at < template.length; at++) {
    const quote = template[at];
    if (quote === '"' || quote === "`") {
      at = closingQuote(template, { from: at + 1, quote });
    } else if (template.startsWith("}}", at)) return at;
  }
  throw new EngineError("invalid", `template parsing error: unclosed action in ${JSON.stringify(template)}`);
}

function closingQuote(text: string, { from, quote }: { from: number; quote: string }): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === "\\" && quote === '"') at++;
    else if (text[at] === quote) return at;
  }
  throw new EngineError("invalid", `template parsing error: unterminated quoted string in ${JSON.stringify(text)}`);
}

const patterns: readonly [Token["kind"], RegExp][] = [
  ["string", /^"(?:[^"\\]|\\.)*"|^`[^`]*`|^'(?:[^'\\]|\\.)'/],
  ["number", /^[+-]?\d+(?:\.\d+)?/],
  ["field", /^(?:\.[A-Za-z_][\w]*)+/],
  ["variable", /^\$[\w]*(?:\.[A-Za-z_]\w*)*/],
  ["word", /^[A-Za-z_]\w*/],
  ["declare", /^:?=/],
  ["pipe", /^\|/],
  ["open", /^\(/],
  ["close", /^\)(?:\.[A-Za-z_]\w*)*/],
  ["comma", /^,/],
  ["dot", /^\./],
];

function tokens(source: string): Token[] {
  const found: Token[] = [];
  let rest = source;
  while (rest !== "") {
    const space = /^\s+/.exec(rest);
    if (space) {
      rest = rest.slice(space[0].length);
      continue;
    }
    const match = firstMatch(rest);
    if (!match)
      throw new EngineError("invalid", `template parsing error: unexpected ${JSON.stringify(rest)} in {{${source}}}`);
    found.push(match);
    rest = rest.slice(match.text.length);
  }
  return found;
}

function firstMatch(rest: string): Token | undefined {
  for (const [kind, pattern] of patterns) {
    const match = pattern.exec(rest);
    if (match) return { kind, text: match[0] };
  }
  return undefined;
}
