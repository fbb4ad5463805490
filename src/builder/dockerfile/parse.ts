import { dockerfileError } from "./error.ts";
import { chomped, type Heredoc, heredocsOfLine } from "./heredoc.ts";
import { type DockerfileLines, readLines } from "./lines.ts";

/** One instruction as it stands in the file: continuations joined, nothing interpreted yet. */
export interface Node {
  /** Upper case. */
  readonly keyword: string;
  /** What follows the keyword, flags included, trimmed. */
  readonly rest: string;
  /** The joined line, for `Step 1/3 : …`. */
  readonly original: string;
  readonly startLine: number;
  readonly endLine: number;
  readonly heredocs: readonly Heredoc[];
  readonly escape: "\\" | "`";
}

/** Splits a Dockerfile into its instructions. Throws "invalid" with the line. */
export function parseNodes(text: string): Node[] {
  const reader = new Reader(readLines(text));
  const nodes: Node[] = [];
  for (let node = reader.next(); node; node = reader.next()) nodes.push(node);
  return nodes;
}

/** A single instruction from a string: ONBUILD triggers, `--change`. */
export function parseNode(line: string, place: { startLine: number; escape: "\\" | "`" }): Node {
  const original = line.trim();
  const keyword = /^\S*/.exec(original)?.[0] ?? "";
  return {
    keyword: keyword.toUpperCase(),
    rest: original.slice(keyword.length).trim(),
    original,
    startLine: place.startLine,
    endLine: place.startLine,
    heredocs: [],
    escape: place.escape,
  };
}

const isComment = (line: string) => /^\s*#/.test(line);
const isBlank = (line: string) => line.trim() === "";

class Reader {
  readonly #lines: readonly string[];
  readonly #escape: "\\" | "`";
  readonly #continuation: RegExp;
  #at = 0;

  constructor({ lines, escape: mark }: DockerfileLines) {
    this.#lines = lines;
    this.#escape = mark;
    const source = mark === "\\" ? "\\\\" : "`";
    this.#continuation = new RegExp(`(?<!${source})${source}[ \\t]*$`);
  }

  next(): Node | undefined {
    while (this.#at < this.#lines.length) {
      const line = this.#lines[this.#at] ?? "";
      if (isBlank(line) || isComment(line)) {
        this.#at++;
        continue;
      }
      const node = this.#instruction();
      if (node.original !== "") return node;
    }
    return undefined;
  }

  #instruction(): Node {
    const startLine = this.#at + 1;
    const node = parseNode(this.#joined(), { startLine, escape: this.#escape });
    const heredocs = this.#heredocs(node);
    return { ...node, heredocs, endLine: this.#at };
  }

  #joined(): string {
    let text = "";
    while (this.#at < this.#lines.length) {
      const line = this.#lines[this.#at++] ?? "";
      if (text !== "" && (isBlank(line) || isComment(line))) continue;
      const cut = line.replace(this.#continuation, "");
      text += text === "" ? cut.trimStart() : cut;
      if (cut === line) break;
      if (text === "") break;
    }
    return text;
  }

  #heredocs(node: Node): Heredoc[] {
    const takes = ["ADD", "COPY", "RUN"].includes(node.keyword.replace(/^ONBUILD$/, nodeKeyword(node)));
    if (!takes) return [];
    return heredocsOfLine(node.rest, this.#escape).map((start) => ({
      ...start,
      content: this.#content(start, node.startLine),
    }));
  }

  #content({ name, chomp }: { name: string; chomp: boolean }, startLine: number): string {
    const from = this.#at;
    while (this.#at < this.#lines.length) {
      const line = this.#lines[this.#at++] ?? "";
      if ((chomp ? line.replace(/^\t+/, "") : line) !== name) continue;
      const content = this.#lines.slice(from, this.#at - 1).map((text) => `${text}\n`);
      return chomp ? chomped(content.join("")) : content.join("");
    }
    throw dockerfileError(startLine, "unterminated heredoc");
  }
}

/** What an ONBUILD line triggers. */
function nodeKeyword(node: Node): string {
  return (/^\S*/.exec(node.rest)?.[0] ?? "").toUpperCase();
}
