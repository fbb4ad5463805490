import { type CharTest, classEscape, foldedTest, inRanges, literalTest, namedClass, unicodeClass } from "./classes.ts";

/** What a pattern says, for {@link compile}. */
export type Node =
  | { readonly kind: "char"; readonly test: CharTest }
  | { readonly kind: "assert"; readonly what: Assertion }
  | { readonly kind: "sequence"; readonly parts: readonly Node[] }
  | { readonly kind: "choice"; readonly options: readonly Node[] }
  | { readonly kind: "repeat"; readonly body: Node; readonly min: number; readonly max: number };

export type Assertion = "textStart" | "textEnd" | "lineStart" | "lineEnd" | "word" | "notWord";

interface Flags {
  readonly ignoreCase: boolean;
  readonly multiLine: boolean;
  readonly dotAll: boolean;
}

/** Go's own limits. */
const mostRepeats = 1000;
const deepest = 1000;

/** RE2's syntax (https://github.com/google/re2/wiki/Syntax), as Go's `regexp` has it. Undefined for what is no expression. */
export function parse(pattern: string): Node | undefined {
  try {
    const parser = new Parser([...pattern]);
    return parser.whole();
  } catch (err) {
    if (err instanceof Malformed) return undefined;
    throw err;
  }
}

class Malformed extends Error {}

const escapes: Readonly<Record<string, string>> = { a: "\x07", f: "\f", t: "\t", n: "\n", r: "\r", v: "\v" };
const assertions: Readonly<Record<string, Assertion>> = { A: "textStart", z: "textEnd", b: "word", B: "notWord" };
const empty: Node = { kind: "sequence", parts: [] };

class Parser {
  readonly #chars: readonly string[];
  #at = 0;
  #depth = 0;
  /** After `\Q`. */
  #quoting = false;
  #flags: Flags = { ignoreCase: false, multiLine: false, dotAll: false };

  constructor(chars: readonly string[]) {
    this.#chars = chars;
  }

  whole(): Node {
    const node = this.#choice();
    if (this.#at < this.#chars.length) throw new Malformed("unexpected )");
    return node;
  }

  #choice(): Node {
    if (++this.#depth > deepest) throw new Malformed("nested too deeply");
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    this.#depth--;
    return options.length === 1 ? (options[0] ?? empty) : { kind: "choice", options };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#chars.length && (this.#quoting || !(this.#sees("|") || this.#sees(")")))) {
      const atom = this.#quoting ? this.#quoted() : this.#atom();
      if (atom) parts.push(this.#quoting ? atom : this.#repeated(atom));
    }
    return { kind: "sequence", parts };
  }

  /** Undefined for flags and the beginning of a quotation, which are nothing to match. */
  #atom(): Node | undefined {
    const ch = this.#next();
    switch (ch) {
      case "(":
        return this.#group();
      case "[":
        return this.#char(this.#bracket());
      case ".":
        return { kind: "char", test: this.#flags.dotAll ? () => true : (code) => code !== 10 };
      case "^":
        return { kind: "assert", what: this.#flags.multiLine ? "lineStart" : "textStart" };
      case "$":
        return { kind: "assert", what: this.#flags.multiLine ? "lineEnd" : "textEnd" };
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
        throw new Malformed("nothing to repeat");
      default:
        return this.#char(literalTest(ch));
    }
  }

  #char(test: CharTest): Node {
    return { kind: "char", test: this.#flags.ignoreCase ? foldedTest(test) : test };
  }

  #repeated(atom: Node): Node {
    const range = this.#repeatRange();
    if (!range) return atom;
    this.#take("?"); // whether as little or as much as possible: it matches either way
    if (this.#repeatRange()) throw new Malformed("repeated twice");
    return { kind: "repeat", body: atom, ...range };
  }

  #repeatRange(): { min: number; max: number } | undefined {
    if (this.#take("*")) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#take("+")) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#take("?")) return { min: 0, max: 1 };
    return this.#sees("{") ? this.#counted() : undefined;
  }

  /** `{2}`, `{2,}`, `{2,5}`; a brace that begins none of them is a character. */
  #counted(): { min: number; max: number } | undefined {
    const text = this.#chars.slice(this.#at, this.#at + 12).join("");
    const found = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(text);
    if (!found) return undefined;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === "" ? Number.POSITIVE_INFINITY : Number(found[3]);
    if (min > max || min > mostRepeats || (max > mostRepeats && max !== Number.POSITIVE_INFINITY))
      throw new Malformed("bad repetition");
    this.#at += found[0].length;
    return { min, max };
  }

  #group(): Node | undefined {
    const outer = this.#flags;
    if (this.#take("?") && !this.#named()) {
      const end = this.#setFlags();
      if (end === ")") return undefined; // they hold to the end of the group around
    }
    const node = this.#choice();
    if (!this.#take(")")) throw new Malformed("missing )");
    this.#flags = outer;
    return node;
  }

  /** `P<name>` and `<name>`. */
  #named(): boolean {
    const from = this.#at;
    this.#take("P");
    if (!this.#take("<")) {
      this.#at = from;
      return false;
    }
    let name = "";
    for (let ch = this.#next(); ch !== ">"; ch = this.#next()) name += ch;
    if (!/^\w+$/.test(name)) throw new Malformed("bad name");
    return true;
  }

  /** `i`, `m`, `s`, `U`, after a minus those that are off; gives the character that ends them. */
  #setFlags(): ":" | ")" {
    let on = true;
    for (;;) {
      const ch = this.#next();
      if (ch === ":" || ch === ")") return ch;
      if (ch === "-" && on) on = false;
      else if (ch === "i") this.#flags = { ...this.#flags, ignoreCase: on };
      else if (ch === "m") this.#flags = { ...this.#flags, multiLine: on };
      else if (ch === "s") this.#flags = { ...this.#flags, dotAll: on };
      else if (ch !== "U") throw new Malformed("unknown flag");
    }
  }

  #escape(): Node | undefined {
    const ch = this.#next();
    const what = Object.hasOwn(assertions, ch) ? assertions[ch] : undefined;
    if (what) return { kind: "assert", what };
    if (ch === "Q") {
      this.#quoting = true;
      return undefined;
    }
    return this.#char(this.#escapedClass(ch) ?? literalTest(this.#escaped(ch)));
  }

  /** The next character of a quotation, and its end when that follows: then the character may be repeated. */
  #quoted(): Node | undefined {
    const char = this.#endsQuotation() ? undefined : this.#char(literalTest(this.#next()));
    if (this.#endsQuotation()) {
      this.#at += 2;
      this.#quoting = false;
    }
    return char;
  }

  #endsQuotation(): boolean {
    return this.#sees("\\") && this.#chars[this.#at + 1] === "E";
  }

  /** `\d`, `\pL`, `\p{Greek}` and so on; undefined for what stands for one character. */
  #escapedClass(ch: string): CharTest | undefined {
    if (ch !== "p" && ch !== "P") return classEscape(ch);
    let name = this.#next();
    if (name === "{") {
      name = "";
      for (let one = this.#next(); one !== "}"; one = this.#next()) name += one;
    }
    const test = unicodeClass(name.replace(/^\^/, ""));
    if (!test) throw new Malformed("unknown class");
    const negated = (ch === "P") !== name.startsWith("^");
    return negated ? (code) => !test(code) : test;
  }

  #escaped(ch: string): string {
    if (Object.hasOwn(escapes, ch)) return escapes[ch] ?? "";
    if (ch === "x") return this.#hex();
    if (/[0-7]/.test(ch)) {
      let digits = ch;
      while (digits.length < 3 && /[0-7]/.test(this.#chars[this.#at] ?? "")) digits += this.#next();
      if (ch !== "0" && digits.length < 2) throw new Malformed("a back reference");
      return String.fromCodePoint(Number.parseInt(digits, 8));
    }
    if (/\w/.test(ch)) throw new Malformed("unknown escape");
    return ch;
  }

  #hex(): string {
    let digits = this.#next();
    if (digits === "{") {
      digits = "";
      for (let one = this.#next(); one !== "}"; one = this.#next()) digits += one;
    } else digits += this.#next();
    const code = /^[0-9a-fA-F]{1,6}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
    if (code < 0 || code > 0x10ffff) throw new Malformed("bad character code");
    return String.fromCodePoint(code);
  }

  /** What stands between brackets; a closing one right at the beginning is a character. */
  #bracket(): CharTest {
    const negated = this.#take("^");
    const tests: CharTest[] = [];
    for (let first = true; first || !this.#sees("]"); first = false) tests.push(this.#bracketItem());
    this.#next();
    const test = inRanges(tests);
    return negated ? (code) => !test(code) : test;
  }

  #bracketItem(): CharTest {
    const ch = this.#next();
    if (ch === "[" && this.#sees(":")) return this.#posix();
    const escaped = ch === "\\" ? this.#next() : undefined;
    const set = escaped === undefined ? undefined : this.#escapedClass(escaped);
    if (set) return set;
    const low = escaped === undefined ? ch : this.#escaped(escaped);
    if (!this.#sees("-") || this.#chars[this.#at + 1] === "]") return literalTest(low);
    this.#next();
    const end = this.#next();
    const high = end === "\\" ? this.#escaped(this.#next()) : end;
    const [from, to] = [low.codePointAt(0) ?? 0, high.codePointAt(0) ?? 0];
    if (from > to) throw new Malformed("bad range");
    return (code) => from <= code && code <= to;
  }

  /** `[:alpha:]` and `[:^alpha:]`; without the end of one it is a bracket among others. */
  #posix(): CharTest {
    const text = this.#chars.slice(this.#at, this.#at + 12).join("");
    const found = /^:(\^?)(\w+):\]/.exec(text);
    if (!found) return literalTest("[");
    const test = namedClass(found[2] ?? "");
    if (!test) throw new Malformed("unknown class");
    this.#at += found[0].length;
    return found[1] ? (code) => !test(code) : test;
  }

  #sees(ch: string): boolean {
    return this.#chars[this.#at] === ch;
  }

  #take(ch: string): boolean {
    if (!this.#sees(ch)) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const ch = this.#chars[this.#at++];
    if (ch === undefined) throw new Malformed("unexpected end");
    return ch;
  }
}
