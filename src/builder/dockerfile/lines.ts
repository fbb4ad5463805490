import { dockerfileError } from "./error.ts";

/**
 * Physical lines of a Dockerfile and the directives in front of them.
 *
 * The rules are BuildKit's (`frontend/dockerfile/parser/parser.go`, `directives.go`): a directive counts only in front of
 * everything else, a comment ends them; an unknown one is a comment.
 */
export interface DockerfileLines {
  /** With their line ends, which here-documents keep; the index plus one is the line number. */
  readonly lines: readonly string[];
  readonly escape: "\\" | "`";
  /** Value of `# check=`, up to the first blank. */
  readonly check?: string;
  /** How many lines in front are directives. */
  readonly directives: number;
}

/** Longest line in bytes, as bufio.Scanner has it in BuildKit (64 KiB less one). */
const maxLine = 65535;
/** Comments and here-documents included. */
const maxLines = 500_000;
const directivePattern = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$/;
const knownDirectives = new Set(["escape", "syntax", "check"]);

/** Throws "invalid" for a line that is too long or a directive that makes no sense. */
export function readLines(text: string): DockerfileLines {
  const lines = text.replace(/^\uFEFF/, "").match(/[^\n]*\n|[^\n]+$/g) ?? [];
  if (lines.length > maxLines) throw dockerfileError(at(maxLines), `a Dockerfile has at most ${maxLines} lines`);
  const long = lines.findIndex((line) => line.length > maxLine / 4 && Buffer.byteLength(bare(line)) > maxLine);
  if (long >= 0) throw dockerfileError(at(long), `dockerfile line greater than max allowed size of ${maxLine}`);
  const found = directives(lines);
  const check = found.get("check")?.value.split(" ", 1)[0];
  return { lines, escape: escapeOf(found), directives: found.size, ...(check !== undefined && { check }) };
}

/** A line without its end. By hand, since an expression tries anew at each of 65,000 carriage returns inside. */
export function bare(line: string): string {
  let end = line.length;
  while (line[end - 1] === "\n" || line[end - 1] === "\r") end--;
  return line.slice(0, end);
}

interface Directive {
  readonly value: string;
  readonly index: number;
}

function at(index: number) {
  return { line: index + 1, endLine: index + 1 };
}

function directives(lines: readonly string[]): Map<string, Directive> {
  const found = new Map<string, Directive>();
  for (const [index, line] of lines.entries()) {
    const match = directivePattern.exec(line.trim());
    const name = match?.[1]?.toLowerCase() ?? "";
    if (!knownDirectives.has(name)) break;
    if (found.has(name)) throw dockerfileError(at(index), `only one ${name} parser directive can be used`);
    found.set(name, { value: match?.[2] ?? "", index });
  }
  return found;
}

function escapeOf(found: ReadonlyMap<string, Directive>): "\\" | "`" {
  const directive = found.get("escape");
  if (!directive) return "\\";
  if (directive.value === "\\" || directive.value === "`") return directive.value;
  throw dockerfileError(at(directive.index), `invalid escape token '${directive.value}' does not match \` or \\`);
}
