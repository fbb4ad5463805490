import { dockerfileError, type Lines } from "./error.ts";
import { type Heredoc, heredocsOfLine } from "./heredoc.ts";
import { bare, type DockerfileLines, readLines } from "./lines.ts";
import { inOne, type Steps } from "./slices.ts";

/** One instruction as it stands in the file: continuations joined, nothing interpreted yet. */
export interface Node extends Lines {
  /** Upper case. */
  readonly keyword: string;
  /** The keyword as it was written. */
  readonly spelled: string;
  /** What follows the keyword, flags included, trimmed. */
  readonly rest: string;
  /** The joined line, for `Step 1/3 : …`. */
  readonly original: string;
  readonly heredocs: readonly Heredoc[];
  readonly escape: "\\" | "`";
  /** Comments right above, without their marks; an empty comment ends them. */
  readonly comments: readonly string[];
  /** The line that the instruction's own text ends on, when a blank line stands inside of it. */
  readonly emptyContinuation?: number;
}

export interface ParsedLines {
  readonly nodes: readonly Node[];
  /** Value of the directive `check`. */
  readonly check?: string;
}

/** Nobody writes so many; a generator gone wild does. */
const mostInstructions = 20_000;

/** Splits a Dockerfile into its instructions. Throws "invalid" with the line. */
export function parseLines(text: string): ParsedLines {
  return inOne(parsingLines(text));
}

/** The same, in steps. */
export function* parsingLines(text: string): Steps<ParsedLines> {
  const lines = readLines(text);
  const reader = new Reader(lines);
  const nodes: Node[] = [];
  for (let node = reader.next(); node; node = reader.next()) {
    if (nodes.length === mostInstructions) {
      throw dockerfileError(node, `a Dockerfile has at most ${mostInstructions} instructions`);
    }
    nodes.push(node);
    yield;
  }
  return { nodes, ...(lines.check !== undefined && { check: lines.check }) };
}

export function parseNodes(text: string): readonly Node[] {
  return parseLines(text).nodes;
}

/** What an ONBUILD instruction triggers, at the place of that instruction. */
export function subNode(node: Node): Node {
  return { ...node, ...split(node.rest) };
}

/** The instruction of a trigger that an image brings; it stands where `place` is. Throws "invalid" when it is not one. */
export function triggerNode(trigger: string, place: Lines): Node {
  const [node, ...more] = parseNodes(trigger);
  if (node && more.length === 0) return { ...node, line: place.line, endLine: place.endLine };
  throw dockerfileError(place, "onbuild trigger should be a single expression");
}

function split(text: string): Pick<Node, "keyword" | "spelled" | "rest" | "original"> {
  const original = text.trim();
  const spelled = /^[^\t\v\f\r ]*/.exec(original)?.[0] ?? "";
  return { keyword: spelled.toUpperCase(), spelled, rest: original.slice(spelled.length).trim(), original };
}

/** The escape, not escaped itself, at a line's end; made once, since each trigger is read by a reader of its own. */
const continuations = { "\\": /(?<!\\)\\[ \t]*$/, "`": /(?<!`)`[ \t]*$/ } as const;

const isComment = (line: string) => /^\s*#/.test(line);
const isBlank = (line: string) => line.trim() === "";

class Reader {
  readonly #lines: readonly string[];
  readonly #escape: "\\" | "`";
  readonly #continuation: RegExp;
  #comments: string[] = [];
  #at: number;

  constructor({ lines, escape: mark, directives }: DockerfileLines) {
    this.#lines = lines;
    this.#escape = mark;
    this.#continuation = continuations[mark];
    this.#at = directives;
  }

  next(): Node | undefined {
    while (this.#at < this.#lines.length) {
      const line = this.#lines[this.#at] ?? "";
      if (!isBlank(line) && !isComment(line)) return this.#instruction();
      this.#comment(line);
      this.#at++;
    }
    return undefined;
  }

  #comment(line: string): void {
    if (isBlank(line)) return;
    const text = line.trim().slice(1).trim();
    if (text === "") this.#comments = [];
    else this.#comments.push(text);
  }

  #instruction(): Node {
    const line = this.#at + 1;
    const { text, hasEmpty } = this.#joined();
    const parts = { ...split(text), line, endLine: this.#at, escape: this.#escape, comments: this.#comments };
    const empty = hasEmpty && { emptyContinuation: this.#at };
    const heredocs = this.#heredocs(parts);
    this.#comments = [];
    return { ...parts, ...empty, heredocs, endLine: this.#at };
  }

  #joined(): { text: string; hasEmpty: boolean } {
    const pieces: string[] = [];
    let hasEmpty = false;
    while (this.#at < this.#lines.length) {
      const line = bare(this.#lines[this.#at++] ?? "");
      if (pieces.length > 0 && isComment(line)) continue;
      if (pieces.length > 0 && isBlank(line)) {
        hasEmpty = true;
        continue;
      }
      const cut = line.replace(this.#continuation, "");
      pieces.push(pieces.length === 0 ? cut.trimStart() : cut);
      if (cut === line) break;
    }
    return { text: pieces.join(""), hasEmpty };
  }

  #heredocs(node: Omit<Node, "heredocs">): Heredoc[] {
    if (!node.original.includes("<<") || !takesHeredocs(node)) return [];
    return heredocsOfLine(node.original).map((start) => ({ ...start, content: this.#content(start, node) }));
  }

  /** Kept as it is, tabs and line ends too. */
  #content({ name, chomp }: { name: string; chomp: boolean }, node: Lines): string {
    const from = this.#at;
    while (this.#at < this.#lines.length) {
      const line = bare(this.#lines[this.#at++] ?? "");
      if ((chomp ? line.replace(/^\t+/, "") : line) === name) return this.#lines.slice(from, this.#at - 1).join("");
    }
    throw dockerfileError({ line: node.line, endLine: this.#at }, "unterminated heredoc");
  }
}

/** ADD, COPY and RUN in their shell form, also as triggers. */
function takesHeredocs({ keyword, rest }: Pick<Node, "keyword" | "rest">): boolean {
  if (keyword === "ONBUILD") {
    const inner = split(rest);
    return inner.keyword !== "ONBUILD" && takesHeredocs(inner);
  }
  return ["ADD", "COPY", "RUN"].includes(keyword) && !isJsonArray(rest);
}

function isJsonArray(rest: string): boolean {
  const text = rest.replace(/^(?:--\S*\s+)*/, "");
  if (!text.startsWith("[")) return false;
  try {
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
}
