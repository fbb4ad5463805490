import { dockerfileError, type Lines } from "./error.ts";
import type { Node } from "./parse.ts";

/** The forms in which instructions take their arguments (BuildKit `parser/line_parsers.go`). */

/** An array of strings in JSON; undefined when the text is not one. Throws "invalid" for an array of other things. */
export function jsonList(text: string, lines: Lines): string[] | undefined {
  if (!text.trimStart().startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  if (value.every((item) => typeof item === "string")) return value;
  throw dockerfileError(lines, "when using JSON array syntax, arrays must be comprised of strings only");
}

/** JSON or blank-separated words. */
export function listOrWords(text: string, lines: Lines): string[] {
  return jsonList(text, lines) ?? blankWords(text);
}

/** Quotes do not hold words together here. */
export function blankWords(text: string): string[] {
  return text.split(/[\t\v\f\r ]+/).filter((word) => word !== "");
}

export interface Command {
  /** "exec" is the JSON form. */
  readonly form: "shell" | "exec";
  /** One word in shell form, which may be empty. */
  readonly words: readonly string[];
}

export function command(text: string, lines: Lines): Command {
  const words = jsonList(text, lines);
  return words ? { form: "exec", words } : { form: "shell", words: [text] };
}

export interface Pair {
  readonly name: string;
  readonly value: string;
}

export interface Pairs {
  readonly pairs: readonly Pair[];
  /** `name the rest of the line`, without `=`. */
  readonly legacy: boolean;
}

/** `name=value name="other value"`, or `name the rest of the line`; quotes stay, they are for the expansion. */
export function pairs(node: Node, text: string): Pairs {
  const words = quotedWords(text, node.escape);
  if (words.length === 0) throw dockerfileError(node, `${node.keyword} requires at least one argument`);
  if (!words[0]?.includes("=")) return { pairs: [oldPair(node, text)], legacy: true };
  return { pairs: words.map((word) => newPair(node, word)), legacy: false };
}

function newPair(node: Node, word: string): Pair {
  const at = word.indexOf("=");
  if (at < 0) {
    const problem = `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`;
    throw dockerfileError(node, problem);
  }
  if (at === 0) throw dockerfileError(node, `${node.keyword} names can not be blank`);
  return { name: word.slice(0, at), value: word.slice(at + 1) };
}

function oldPair(node: Node, text: string): Pair {
  const match = /^([^\t\v\f\r ]+)[\t\v\f\r ]+([\s\S]*)$/.exec(text);
  if (!match) throw dockerfileError(node, `${node.keyword} must have two arguments`);
  return { name: match[1] ?? "", value: match[2] ?? "" };
}

/** Words at blanks that are neither quoted nor escaped; quotes and escapes are kept in the words. */
export function quotedWords(text: string, mark: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  const chars = [...text];
  for (let at = 0; at < chars.length; at++) {
    const ch = chars[at] ?? "";
    if (quote === "" && /\s/.test(ch)) {
      if (word !== "") words.push(word);
      word = "";
      continue;
    }
    // An escape keeps its next character from being a blank or a quote; single quotes know no escapes. At the end it is dropped.
    const escapes = ch === mark && quote !== "'";
    if (escapes && at + 1 === chars.length) break;
    word += ch;
    if (escapes) word += chars[++at] ?? "";
    else if (quote === "" && (ch === "'" || ch === '"')) quote = ch;
    else if (ch === quote) quote = "";
  }
  if (word !== "") words.push(word);
  return words;
}
