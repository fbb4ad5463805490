import { EngineError } from "../../errors/mod.ts";
import { lex, type Piece, type Token } from "./lex.ts";

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly pipe: Pipe }
  | {
      readonly kind: "if" | "with";
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | {
      readonly kind: "range";
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

/** `$a, $b := command | command …` */
export interface Pipe {
  readonly variables: readonly string[];
  readonly commands: readonly (readonly Operand[])[];
}

export type Operand =
  | { readonly kind: "literal"; readonly value: string | number | boolean | null }
  | { readonly kind: "field"; readonly path: readonly string[] }
  | { readonly kind: "variable"; readonly name: string; readonly path: readonly string[] }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "pipe"; readonly pipe: Pipe; readonly path: readonly string[] };

/** Throws "invalid" with what is wrong: `template parsing error: …`. */
export function parse(template: string): Node[] {
  const reader = new Reader(lex(template));
  const { nodes, stop } = reader.until([]);
  if (stop) throw problem(`unexpected {{${stop}}}`);
  return nodes;
}

class Reader {
  readonly #pieces: readonly Piece[];
  #at = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  /** Nodes up to an `end` or `else`, whose words are returned. */
  until(open: readonly string[]): { nodes: Node[]; stop: string | undefined; tokens: readonly Token[] } {
    const nodes: Node[] = [];
    for (;;) {
      const piece = this.#pieces[this.#at++];
      if (!piece) {
        if (open.length > 0) throw problem(`unexpected EOF: {{${open.at(-1)}}} has no {{end}}`);
        return { nodes, stop: undefined, tokens: [] };
      }
      if (piece.kind === "text") {
        nodes.push(piece);
        continue;
      }
      const word = piece.tokens[0]?.text;
      if (word === "end" || word === "else") return { nodes, stop: word, tokens: piece.tokens.slice(1) };
      nodes.push(this.#action(piece.tokens, open));
    }
  }

  #action(tokens: readonly Token[], open: readonly string[]): Node {
    const word = tokens[0]?.kind === "word" ? tokens[0].text : "";
    if (word === "if" || word === "with" || word === "range") return this.#block(word, tokens.slice(1), open);
    return { kind: "print", pipe: parsePipe(tokens) };
  }

  #block(kind: "if" | "with" | "range", tokens: readonly Token[], open: readonly string[]): Node {
    const pipe = parsePipe(tokens);
    const body = this.until([...open, kind]);
    if (body.stop === "end") return { kind, pipe, body: body.nodes, otherwise: [] };
    const next = body.tokens[0]?.text;
    if (next === "if" || next === "with") {
      return { kind, pipe, body: body.nodes, otherwise: [this.#block(next, body.tokens.slice(1), open)] };
    }
    const otherwise = this.until([...open, kind]);
    if (otherwise.stop !== "end") throw problem("expected {{end}} after {{else}}");
    return { kind, pipe, body: body.nodes, otherwise: otherwise.nodes };
  }
}

function parsePipe(tokens: readonly Token[]): Pipe {
  const declare = tokens.findIndex((token) => token.kind === "declare");
  const variables = tokens.slice(0, Math.max(declare, 0)).filter((token) => token.kind === "variable");
  const rest = tokens.slice(declare + 1);
  const commands: Operand[][] = [[]];
  for (let at = 0; at < rest.length; ) {
    const token = rest[at];
    if (token?.kind === "pipe") {
      commands.push([]);
      at++;
      continue;
    }
    const { operand, next } = parseOperand(rest, at);
    commands.at(-1)?.push(operand);
    at = next;
  }
  if (commands.some((one) => one.length === 0)) throw problem("missing value for command");
  return { variables: variables.map((token) => token.text.slice(1)), commands };
}

function parseOperand(tokens: readonly Token[], at: number): { operand: Operand; next: number } {
  const token = tokens[at];
  if (!token) throw problem("missing operand");
  if (token.kind === "open") return parseGroup(tokens, at);
  return { operand: simpleOperand(token), next: at + 1 };
}

function parseGroup(tokens: readonly Token[], at: number): { operand: Operand; next: number } {
  let depth = 0;
  for (let end = at; end < tokens.length; end++) {
    const token = tokens[end];
    if (token?.kind === "open") depth++;
    if (token?.kind === "close" && --depth === 0) {
      return {
        operand: { kind: "pipe", pipe: parsePipe(tokens.slice(at + 1, end)), path: fields(token.text.slice(1)) },
        next: end + 1,
      };
    }
  }
  throw problem("unclosed left paren");
}

function simpleOperand(token: Token): Operand {
  switch (token.kind) {
    case "string":
      return { kind: "literal", value: unquote(token.text) };
    case "number":
      return { kind: "literal", value: Number(token.text) };
    case "field":
      return { kind: "field", path: fields(token.text) };
    case "dot":
      return { kind: "field", path: [] };
    case "variable": {
      const [name = "", ...path] = token.text.slice(1).split(".");
      return { kind: "variable", name, path };
    }
    case "word":
      if (token.text === "true" || token.text === "false") return { kind: "literal", value: token.text === "true" };
      if (token.text === "nil") return { kind: "literal", value: null };
      return { kind: "function", name: token.text };
    default:
      throw problem(`unexpected ${JSON.stringify(token.text)} in operand`);
  }
}

function fields(text: string): string[] {
  return text.split(".").filter((part) => part !== "");
}

function unquote(text: string): string {
  if (text.startsWith("`")) return text.slice(1, -1);
  const inner = text.slice(1, -1);
  const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", '"': '"', "'": "'", "\\": "\\" };
  return inner.replace(/\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)/g, (_, code: string) =>
    code.length > 1 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (escapes[code] ?? code),
  );
}

function problem(text: string): EngineError {
  return new EngineError("invalid", `template parsing error: ${text}`);
}
