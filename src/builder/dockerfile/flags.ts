import { dockerfileError } from "./error.ts";
import type { Node } from "./parse.ts";
import { didYouMean } from "./suggest.ts";

/** The `--name=value` words in front of an instruction's arguments, and what follows them. */
export interface Flags {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly rest: string;
}

export type FlagKind = "string" | "boolean" | "list";

/** Throws "invalid" for a flag that the instruction does not have, one given twice, or one without its value. */
export function readFlags(node: Node, known: Readonly<Record<string, FlagKind>>): Flags {
  const { words, rest } = split(node.rest);
  const values = new Map<string, string[]>();
  for (const word of words) {
    const at = word.indexOf("=");
    const name = at < 0 ? word : word.slice(0, at);
    const value = at < 0 ? undefined : word.slice(at + 1);
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!kind) throw dockerfileError(node, `unknown flag: --${name}${didYouMean(name, Object.keys(known))}`);
    if (values.has(name) && kind !== "list") throw dockerfileError(node, `duplicate flag specified: --${name}`);
    const read = flagValue({ node, name, kind, value });
    const given = values.get(name);
    if (given) given.push(read);
    else values.set(name, [read]);
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
  if (value === undefined ? kind !== "boolean" : value === "" && kind === "boolean") {
    throw dockerfileError(node, `missing a value on flag: --${name}`);
  }
  if (kind !== "boolean") return value ?? "";
  const truth = (value ?? "true").toLowerCase();
  if (truth === "true" || truth === "false") return truth;
  throw dockerfileError(node, `expecting boolean value for flag --${name}, not: ${value}`);
}

/** Flags end at the first word without dashes, or at `--`, which is taken away. Quotes and backslashes are read as in BuildKit's `split_command.go`, whatever the escape directive says. */
export function split(text: string): { words: string[]; rest: string } {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (/\s/.test(text[at] ?? "")) at++;
    if (!text.startsWith("--", at)) break;
    const { word, end } = flagWord(text, at);
    at = end;
    if (word === "--") break;
    words.push(word.slice(2));
  }
  return { words, rest: text.slice(at).trim() };
}

function flagWord(text: string, from: number): { word: string; end: number } {
  let word = "";
  let quote = "";
  let end = from;
  for (; end < text.length; end++) {
    const ch = text[end] ?? "";
    if (quote === "" && /\s/.test(ch)) break;
    if (ch === "\\") word += text[++end] ?? "";
    else if (quote === "" && (ch === "'" || ch === '"')) quote = ch;
    else if (ch === quote) quote = "";
    else word += ch;
  }
  return { word, end };
}
