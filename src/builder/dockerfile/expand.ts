import { EngineError, messageOf } from "../../errors/mod.ts";
import { spend } from "./budget.ts";
import { replaced, shellPattern, withoutPrefix, withoutSuffix } from "./shell-pattern.ts";

/**
 * Words of a Dockerfile as a shell would read them: quotes, escapes, `$NAME`, `${NAME}` and the modifiers `:-` `-` `:+` `+`
 * `:?` `?` `#` `##` `%` `%%` `/` `//`. The grammar is that of BuildKit's `frontend/dockerfile/shell/lex.go`, also where a
 * shell would differ: an escape outside of quotes is dropped in front of every character, inside double quotes only in
 * front of `"`, `$` and itself.
 */
export interface ExpandOptions {
  readonly escape: string;
  readonly env: ReadonlyMap<string, string>;
  /** For here-documents: quotes are ordinary characters. */
  readonly keepQuotes?: boolean;
  /** Quotes and escapes do their work, and stay. */
  readonly rawQuotes?: boolean;
  readonly rawEscapes?: boolean;
  /** A variable that is not there stays as it was written. */
  readonly keepUnset?: boolean;
}

export interface Expanded {
  readonly text: string;
  /** Split at the blanks that are not quoted, also those that came out of a variable. */
  readonly words: readonly string[];
  /** Names that the environment had, and those that it had not. */
  readonly matched: ReadonlySet<string>;
  readonly unmatched: ReadonlySet<string>;
}

/** How Go's scanner shows that the text has ended. */
const ended = "\uFFFD";

/** Longest result in characters: `ENV A=$A$A` doubles with every line. */
const longest = 1024 * 1024;

/** One word, expanded; blanks in a value do not split it. Throws "invalid": `failed to process "WORD": …`. */
export function shellWord(word: string, options: ExpandOptions): string {
  return expand(word, options).text;
}

/** The word expanded and split. Empty words are none, quoted or not. */
export function shellWords(word: string, options: ExpandOptions): readonly string[] {
  return expand(word, options).words;
}

/** Throws like {@link shellWord}. */
export function expand(word: string, options: ExpandOptions): Expanded {
  try {
    if (!special.test(word)) return unchanged(word);
    return new Scanner(word, options).all();
  } catch (err) {
    const shown = JSON.stringify(word.length > 200 ? `${word.slice(0, 200)}…` : word);
    throw new EngineError("invalid", `failed to process ${shown}: ${messageOf(err)}`, { cause: err });
  }
}

/** Without one of them a word says what is written. */
const special = /[$'"\\`]|<</;

function unchanged(word: string): Expanded {
  return { text: word, words: word.split(/\s+/).filter((one) => one !== ""), matched: new Set(), unmatched: new Set() };
}

const blank = /\s/;

/** What may be more than itself, besides the escape. */
const meaning: ReadonlySet<string> = new Set(["$", "'", '"', "<"]);

/** Collects words: quoted text never splits. */
class Words {
  readonly done: string[] = [];
  #current = "";

  quoted(text: string): void {
    this.#current += text;
  }

  plain(text: string): void {
    if (!blank.test(text)) {
      this.#current += text;
      return;
    }
    const [first = "", ...rest] = text.split(/\s+/);
    this.#current += first;
    for (const piece of rest) {
      this.close();
      this.#current = piece;
    }
  }

  close(): void {
    if (this.#current !== "") this.done.push(this.#current);
    this.#current = "";
  }
}

class Scanner {
  readonly #chars: readonly string[];
  readonly #options: ExpandOptions;
  readonly #words = new Words();
  readonly #matched = new Set<string>();
  readonly #unmatched = new Set<string>();
  #rawEscapes: boolean;
  #inPattern = false;
  #at = 0;
  /** Above 0 inside of a modifier's word. */
  #muted = 0;
  #size = 0;

  constructor(word: string, options: ExpandOptions) {
    this.#chars = [...word];
    this.#options = options;
    this.#rawEscapes = options.rawEscapes === true;
  }

  all(): Expanded {
    const text = this.#until(undefined);
    this.#words.close();
    return { text, words: this.#words.done, matched: this.#matched, unmatched: this.#unmatched };
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #next(): string | undefined {
    return this.#chars[this.#at++];
  }

  /** Up to `stop`, which is consumed, or the end. */
  #until(stop: string | undefined): string {
    let out = "";
    for (let ch = this.#peek(); ch !== undefined; ch = this.#peek()) {
      if (ch === stop) {
        this.#at++;
        return out;
      }
      out += this.#run(stop) || this.#piece(ch);
    }
    if (stop !== undefined) throw new Error(`unexpected end of statement while looking for matching ${stop}`);
    return out;
  }

  /** What stands for itself, in one piece: a here-document may have a million characters of it. */
  #run(stop: string | undefined): string {
    const from = this.#at;
    for (let ch = this.#peek(); ch !== undefined; ch = this.#peek()) {
      if (ch === stop || ch === this.#options.escape || meaning.has(ch)) break;
      this.#at++;
    }
    return from === this.#at ? "" : this.#splitting(this.#chars.slice(from, this.#at).join(""));
  }

  #piece(ch: string): string {
    if (ch === "$") return this.#splitting(this.#dollar());
    if (!this.#options.keepQuotes && ch === "'") return this.#whole(this.#singleQuoted());
    if (!this.#options.keepQuotes && ch === '"') return this.#whole(this.#doubleQuoted());
    if (ch === "<" && this.#chars[this.#at + 1] === "<") return this.#whole(this.#redirection());
    this.#at++;
    if (ch !== this.#options.escape) return this.#splitting(ch);
    const escaped = this.#next() ?? "";
    return this.#whole(this.#rawEscapes ? ch + escaped : escaped);
  }

  /** `<<` holds on to the word behind it, blanks or not, as a here-document's delimiter. */
  #redirection(): string {
    const from = this.#at;
    this.#at += 2;
    while (/[ \t\r\n]/.test(this.#peek() ?? "")) this.#at++;
    return this.#chars.slice(from, this.#at).join("");
  }

  #splitting(text: string): string {
    if (this.#muted === 0) this.#words.plain(text);
    return text;
  }

  #whole(text: string): string {
    if (this.#muted === 0) this.#words.quoted(text);
    return text;
  }

  #quote(ch: string): string {
    return this.#options.rawQuotes ? ch : "";
  }

  #singleQuoted(): string {
    this.#at++;
    const end = this.#chars.indexOf("'", this.#at);
    if (end < 0) {
      this.#at = this.#chars.length;
      throw new Error("unexpected end of statement while looking for matching single-quote");
    }
    const taken = this.#chars.slice(this.#at, end);
    // In a pattern an escape that is to be itself is written twice.
    const text = taken.map((ch) => (this.#inPattern && ch === this.#options.escape ? ch + ch : ch)).join("");
    this.#at = end + 1;
    return this.#quote("'") + text + this.#quote("'");
  }

  #doubleQuoted(): string {
    this.#at++;
    let out = this.#quote('"');
    for (let ch = this.#peek(); ch !== '"'; ch = this.#peek()) {
      if (ch === undefined) throw new Error("unexpected end of statement while looking for matching double-quote");
      out += ch === "$" ? this.#dollar() : this.#inDoubleQuotes();
    }
    this.#at++;
    return out + this.#quote('"');
  }

  #inDoubleQuotes(): string {
    const ch = this.#next() ?? "";
    if (ch !== this.#options.escape) return ch;
    const front = this.#rawEscapes ? ch : "";
    const escaped = this.#peek();
    if (escaped === undefined) return front;
    return front + (escaped === '"' || escaped === "$" || escaped === ch ? (this.#next() ?? "") : ch);
  }

  #dollar(): string {
    this.#at++;
    if (this.#peek() !== "{") {
      const name = this.#name();
      return name === "" ? "$" : this.#plain(name, `$${name}`);
    }
    this.#at++;
    const first = this.#peek();
    if (first === undefined) throw new Error("syntax error: missing '}'");
    if (first === "{" || first === "}" || first === ":") throw new Error("syntax error: bad substitution");
    return this.#braced(this.#name());
  }

  #plain(name: string, written: string): string {
    const value = this.#value(name);
    if (value === undefined) return this.#options.keepUnset ? written : "";
    return this.#sized(value);
  }

  #value(name: string): string | undefined {
    const value = this.#options.env.get(name);
    (value === undefined ? this.#unmatched : this.#matched).add(name);
    return value;
  }

  #sized(text: string): string {
    this.#size += text.length;
    if (this.#size > longest) throw new Error(`the result is longer than ${longest} characters`);
    spend(text.length);
    return text;
  }

  #braced(name: string): string {
    const ch = this.#next();
    if (ch === "}") return this.#plain(name, `\${${name}}`);
    if (ch === "/") return this.#replace(name);
    const colon = ch === ":";
    const modifier = (colon ? this.#next() : ch) ?? ended;
    const trims = "#%".includes(modifier);
    const missing = modifier === ended ? "syntax error: missing '}': " : "";
    const unsupported = new Error(`${missing}unsupported modifier (${colon ? ":" : ""}${modifier}) in substitution`);
    if (colon ? trims : !"-+?#%".includes(modifier)) throw unsupported;
    const word = this.#modifierWord(trims);
    if (!"-+?#%".includes(modifier)) throw unsupported;
    const value = this.#value(name);
    if (value === undefined && this.#options.keepUnset) return `\${${name}${colon ? ":" : ""}${modifier}${word}}`;
    return this.#sized(modified({ name, modifier, word, value, colon }));
  }

  /** A modifier's word is only a part of the result when it is chosen, so its pieces must not split words on their own. */
  #modifierWord(isPattern: boolean, stop = "}"): string {
    const before = [this.#rawEscapes, this.#inPattern] as const;
    this.#rawEscapes = isPattern;
    this.#inPattern = isPattern;
    this.#muted++;
    try {
      return this.#until(stop);
    } catch (err) {
      if (this.#peek() !== undefined) throw err;
      throw new Error(`syntax error: missing '${stop}'${stop === "/" ? ` in ${"$"}{}` : ""}`);
    } finally {
      this.#muted--;
      [this.#rawEscapes, this.#inPattern] = before;
    }
  }

  #replace(name: string): string {
    const all = this.#peek() === "/";
    if (all) this.#at++;
    const pattern = this.#modifierWord(true, "/");
    const replacement = this.#modifierWord(true);
    const value = this.#value(name);
    if (value === undefined && this.#options.keepUnset) return `\${${name}/${pattern}/${replacement}}`;
    return this.#sized(replaced(value ?? "", { pattern: shellPattern(pattern), replacement, all }));
  }

  #name(): string {
    const first = this.#peek() ?? "";
    const more = /[\p{L}_]/u.test(first) ? /[\p{L}\p{Nd}_]/u : /\p{Nd}/u.test(first) ? /\p{Nd}/u : undefined;
    if (!more) return /[@*#?\-$!]/.test(first) ? (this.#next() ?? "") : "";
    const from = this.#at;
    while (more.test(this.#peek() ?? "")) this.#at++;
    return this.#chars.slice(from, this.#at).join("");
  }
}

interface Modified {
  readonly name: string;
  readonly modifier: string;
  readonly word: string;
  readonly value: string | undefined;
  /** With a colon an empty value is as good as none. */
  readonly colon: boolean;
}

function modified({ name, modifier, word, value, colon }: Modified): string {
  const missing = value === undefined || (colon && value === "");
  const greedy = word.startsWith(modifier);
  const pattern = () => shellPattern(greedy ? word.slice(1) : word);
  switch (modifier) {
    case "-":
      return missing ? word : value;
    case "+":
      return missing ? "" : word;
    case "?":
      if (!missing) return value;
      throw new Error(`${name}: ${word || `is not allowed to be ${value === undefined ? "unset" : "empty"}`}`);
    case "#":
      return withoutPrefix(value ?? "", pattern(), greedy);
    default:
      return withoutSuffix(value ?? "", pattern(), greedy);
  }
}
