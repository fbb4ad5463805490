import { dockerfileError } from "./error.ts";

/**
 * Physical lines of a Dockerfile and the directives in front of them.
 *
 * The rules are BuildKit's (`frontend/dockerfile/parser/parser.go`, `directives.go`): a directive counts only in front of
 * everything else, a comment ends them; an unknown one is a comment.
 */
export interface DockerfileLines {
  /** Without line ends; the index plus one is the line number. */
  readonly lines: readonly string[];
  readonly escape: "\\" | "`";
}

/** Longest line in bytes, as bufio.Scanner has it in BuildKit (64 KiB less one). */
const maxLine = 65535;
const directivePattern = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const knownDirectives = new Set(["escape", "syntax", "check"]);

/** Throws "invalid" for a line that is too long or a directive that makes no sense. */
export function readLines(text: string): DockerfileLines {
  const lines = text.replace(/^\uFEFF/, "").split("\n");
  if (lines.at(-1) === "") lines.pop();
  const bare = lines.map((line) => line.replace(/\r$/, ""));
  const long = bare.findIndex((line) => line.length > maxLine / 4 && Buffer.byteLength(line) > maxLine);
  if (long >= 0) throw dockerfileError(long + 1, `dockerfile line greater than max allowed size of ${maxLine}`);
  return { lines: bare, escape: escapeOf(directives(bare)) };
}

interface Directive {
  readonly value: string;
  readonly line: number;
}

function directives(lines: readonly string[]): Map<string, Directive> {
  const found = new Map<string, Directive>();
  for (const [index, line] of lines.entries()) {
    const match = directivePattern.exec(line.trimStart());
    const name = match?.[1]?.toLowerCase() ?? "";
    if (!knownDirectives.has(name)) break;
    if (found.has(name)) throw dockerfileError(index + 1, `only one ${name} parser directive can be used`);
    found.set(name, { value: match?.[2] ?? "", line: index + 1 });
  }
  return found;
}

function escapeOf(found: ReadonlyMap<string, Directive>): "\\" | "`" {
  const directive = found.get("escape");
  if (!directive) return "\\";
  if (directive.value === "\\" || directive.value === "`") return directive.value;
  throw dockerfileError(directive.line, `invalid escape token '${directive.value}' does not match \` or \\`);
}
