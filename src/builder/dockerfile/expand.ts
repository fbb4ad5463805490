import { EngineError, messageOf } from "../../errors/mod.ts";
import { shellPattern } from "./shell-pattern.ts";

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
}

/** One word, expanded; blanks in a value do not split it. Throws "invalid": `failed to process "WORD": …`. */
export function shellWord(word: string, options: ExpandOptions): string {
  return process(word, options).text;
}

/** The word expanded and split at the blanks that are not quoted, also those that came out of a variable. */
export function shellWords(word: string, options: ExpandOptions): string[] {
  return process(word, options).words;
}

function process(word: string, options: ExpandOptions): { text: string; words: string[] } {
  try {
    return new Scanner(word, options).all();
  } catch (err) {
    throw new EngineError("invalid", `failed to process ${JSON.stringify(word)}: ${messageOf(err)}`, { cause: err });
  }
}

/** Collects words: quoted text never splits, and an empty quoted word counts. */
class Words {
  readonly done: string[] = [];
  #current = "";
  #open = false;

  quoted(text: string): void {
    this.#current += text;
    this.#open = true;
  }

  plain(text: string): void {
    for (const ch of text) {
      if (/\s/.test(ch)) this.close();
      else this.quoted(ch);
    }
  }

  close(): void {
    if (this.#open) this.done.push(this.#current);
    this.#current = "";
    this.#open = false;
  }
}

class Scanner {
  readonly #chars: readonly string[];
  readonly #options: ExpandOptions;
  readonly #words = new Words();
  #at = 0;
  /** Above 0 inside of a modifier's word. */
  #muted = 0;

  constructor(word: string, options: ExpandOptions) {
    this.#chars = [...word];
    this.#options = options;
  }

  all(): { text: string; words: string[] } {
    const text = this.#until(undefined, false);
    this.#words.close();
    return { text, words: this.#words.done };
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #next(): string | undefined {
    return this.#chars[this.#at++];
  }

  /** Up to `stop`, which is consumed, or the end. `rawEscapes` keeps escapes, for patterns that read them themselves. */
  #until(stop: string | undefined, rawEscapes: boolean): string {
    let out = "";
    for (let ch = this.#peek(); ch !== undefined; ch = this.#peek()) {
      if (ch === stop) {
        this.#at++;
        return out;
      }
      out += this.#piece(ch, rawEscapes);
    }
    if (stop !== undefined) throw new Error(`unexpected end of statement while looking for matching ${stop}`);
    return out;
  }

  #piece(ch: string, rawEscapes: boolean): string {
    if (ch === "$") return this.#splitting(this.#dollar());
    if (!this.#options.keepQuotes && ch === "'") return this.#whole(this.#singleQuoted());
    if (!this.#options.keepQuotes && ch === '"') return this.#whole(this.#doubleQuoted());
    this.#at++;
    if (ch !== this.#options.escape) return this.#splitting(ch);
    const escaped = this.#next() ?? "";
    return this.#whole(rawEscapes ? ch + escaped : escaped);
  }

  #splitting(text: string): string {
    if (this.#muted === 0) this.#words.plain(text);
    return text;
  }

  #whole(text: string): string {
    if (this.#muted === 0) this.#words.quoted(text);
    return text;
  }

  #singleQuoted(): string {
    this.#at++;
    let out = "";
    for (let ch = this.#next(); ch !== "'"; ch = this.#next()) {
      if (ch === undefined) throw new Error("unexpected end of statement while looking for matching single-quote");
      out += ch;
    }
    return out;
  }

  #doubleQuoted(): string {
    this.#at++;
    let out = "";
    for (let ch = this.#peek(); ch !== '"'; ch = this.#peek()) {
      if (ch === undefined) throw new Error("unexpected end of statement while looking for matching double-quote");
      out += ch === "$" ? this.#dollar() : this.#inDoubleQuotes();
    }
    this.#at++;
    return out;
  }

  #inDoubleQuotes(): string {
    const ch = this.#next() ?? "";
    if (ch !== this.#options.escape) return ch;
    const escaped = this.#peek();
    if (escaped === undefined) return "";
    return escaped === '"' || escaped === "$" || escaped === ch ? (this.#next() ?? "") : ch;
  }

  #dollar(): string {
    this.#at++;
    if (this.#peek() !== "{") {
      const name = this.#name();
      return name === "" ? "$" : (this.#options.env.get(name) ?? "");
    }
    this.#at++;
    const first = this.#peek();
    if (first === undefined) throw new Error("syntax error: missing '}'");
    if (first === "{" || first === "}" || first === ":") throw new Error("syntax error: bad substitution");
    return this.#braced(this.#name());
  }

  #braced(name: string): string {
    const value = this.#options.env.get(name);
    const ch = this.#next();
    if (ch === "}") return value ?? "";
    if (ch === undefined) throw new Error("syntax error: missing '}'");
    if (ch === "/") return this.#replace(value ?? "");
    const colon = ch === ":";
    const modifier = colon ? (this.#next() ?? "") : ch;
    if (!"-+?#%".includes(modifier) || modifier === "" || (colon && "#%".includes(modifier))) {
      throw new Error(`unsupported modifier (${colon ? ":" : ""}${modifier}) in substitution`);
    }
    const word = this.#modifierWord("#%".includes(modifier));
    return modified({ name, modifier, word, value: colon && value === "" ? undefined : value, empty: value === "" });
  }

  /** A modifier's word is only a part of the result when it is chosen, so its pieces must not split words on their own. */
  #modifierWord(rawEscapes: boolean, stop = "}"): string {
    this.#muted++;
    try {
      return this.#until(stop, rawEscapes);
    } catch (err) {
      if (this.#peek() === undefined) throw new Error("syntax error: missing '}'");
      throw err;
    } finally {
      this.#muted--;
    }
  }

  #replace(value: string): string {
    const all = this.#peek() === "/";
    if (all) this.#at++;
    const pattern = this.#modifierWord(true, "/");
    const replacement = this.#modifierWord(true);
    return value.replace(new RegExp(shellPattern(pattern, true), all ? "gsu" : "su"), () => replacement);
  }

  #name(): string {
    const first = this.#peek() ?? "";
    const more = /[A-Za-z_]/.test(first) ? /[A-Za-z0-9_]/ : /[0-9]/.test(first) ? /[0-9]/ : undefined;
    if (!more) return /[@*#?\-$!]/.test(first) ? (this.#next() ?? "") : "";
    let name = "";
    for (let ch = this.#peek(); ch !== undefined && more.test(ch); ch = this.#peek()) {
      name += ch;
      this.#at++;
    }
    return name;
  }
}

interface Modified {
  readonly name: string;
  readonly modifier: string;
  readonly word: string;
  readonly value: string | undefined;
  readonly empty: boolean;
}

function modified({ name, modifier, word, value, empty }: Modified): string {
  switch (modifier) {
    case "-":
      return value ?? word;
    case "+":
      return value === undefined ? "" : word;
    case "?":
      if (value !== undefined) return value;
      throw new Error(`${name}: ${word || (empty ? "is not allowed to be empty" : "is not allowed to be unset")}`);
    default:
      return trimmed(value ?? "", word, modifier);
  }
}

function trimmed(value: string, word: string, modifier: string): string {
  const greedy = word.startsWith(modifier);
  const pattern = greedy ? word.slice(1) : word;
  if (modifier === "#") return value.replace(new RegExp(`^${shellPattern(pattern, greedy)}`, "su"), "");
  // The shortest suffix is the one that starts last, which a lazy match from the left would not find.
  const whole = new RegExp(`^${shellPattern(pattern, true)}$`, "su");
  const chars = [...value];
  const starts = chars.map((_, index) => index).concat(chars.length);
  const order = greedy ? starts : starts.reverse();
  const start = order.find((index) => whole.test(chars.slice(index).join("")));
  return start === undefined ? value : chars.slice(0, start).join("");
}
