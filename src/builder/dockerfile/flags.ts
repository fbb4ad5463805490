import { dockerfileError } from "./error.ts";
import type { Node } from "./parse.ts";

/** The `--name=value` words in front of an instruction's arguments, and what follows them. */
export interface Flags {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly rest: string;
}

export type FlagKind = "string" | "boolean" | "list";

/** Throws "invalid" for a flag that the instruction does not have, one given twice, or one without its value. */
export function readFlags(node: Node, known: Readonly<Record<string, FlagKind>>): Flags {
  const { words, rest } = split(node.rest, node.escape);
  const values = new Map<string, string[]>();
  for (const word of words) {
    const at = word.indexOf("=");
    const name = at < 0 ? word : word.slice(0, at);
    const value = at < 0 ? undefined : word.slice(at + 1);
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!kind) throw dockerfileError(node.startLine, `unknown flag: --${name}`);
    if (values.has(name) && kind !== "list") {
      throw dockerfileError(node.startLine, `duplicate flag specified: --${name}`);
    }
    values.set(name, [...(values.get(name) ?? []), flagValue({ node, name, kind, value })]);
  }
  return { values, rest };
}

/** The flag's value; undefined when it was not given. */
export function flag(flags: Flags, name: string): string | undefined {
  return flags.values.get(name)?.[0];
}

export function flagSet(flags: Flags, name: string): boolean {
  return flag(flags, name) === "true";
}

function flagValue(given: { node: Node; name: string; kind: FlagKind; value: string | undefined }): string {
  const { node, name, kind, value } = given;
  if (kind !== "boolean") {
    if (value === undefined) throw dockerfileError(node.startLine, `missing a value on flag: --${name}`);
    return value;
  }
  if (value === undefined || value.toLowerCase() === "true") return "true";
  if (value.toLowerCase() === "false") return "false";
  throw dockerfileError(node.startLine, `expecting boolean value for flag ${name}, not: ${value}`);
}

/** Flags end at the first word without dashes; `--` alone is a word of the command. Escapes and quotes are read as in BuildKit's `split_command.go`. */
function split(text: string, mark: string): { words: string[]; rest: string } {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (/\s/.test(text[at] ?? "")) at++;
    if (!text.startsWith("--", at) || /^--(?:\s|$)/.test(text.slice(at))) break;
    const { word, end } = flagWord(text, { at: at + 2, mark });
    words.push(word);
    at = end;
  }
  return { words, rest: text.slice(at) };
}

function flagWord(text: string, { at, mark }: { at: number; mark: string }): { word: string; end: number } {
  let word = "";
  let quote = "";
  let end = at;
  for (; end < text.length; end++) {
    const ch = text[end] ?? "";
    if (quote === "" && /\s/.test(ch)) break;
    if (ch === mark && quote !== "'") word += text[++end] ?? "";
    else if (quote === "" && (ch === "'" || ch === '"')) quote = ch;
    else if (ch === quote) quote = "";
    else word += ch;
  }
  return { word, end };
}
