/** Whether a code point is meant. */
export type CharTest = (code: number) => boolean;

type Range = readonly [from: string, to: string];

function ranges(...list: readonly Range[]): CharTest {
  const codes = list.map(([from, to]) => [from.codePointAt(0) ?? 0, to.codePointAt(0) ?? 0] as const);
  return (code) => codes.some(([from, to]) => from <= code && code <= to);
}

const digit = ranges(["0", "9"]);
const space = ranges(["\t", "\n"], ["\f", "\r"], [" ", " "]);
const word = ranges(["0", "9"], ["A", "Z"], ["a", "z"], ["_", "_"]);

/** Letters, digits and the underscore of ASCII: what `\b` goes by. */
export const isWord = word;

/** `\d`, `\s`, `\w` and their opposites, of ASCII alone. */
export function classEscape(letter: string): CharTest | undefined {
  switch (letter) {
    case "d":
      return digit;
    case "D":
      return not(digit);
    case "s":
      return space;
    case "S":
      return not(space);
    case "w":
      return word;
    case "W":
      return not(word);
    default:
      return undefined;
  }
}

const posix: Readonly<Record<string, CharTest>> = {
  alnum: ranges(["0", "9"], ["A", "Z"], ["a", "z"]),
  alpha: ranges(["A", "Z"], ["a", "z"]),
  ascii: ranges(["\0", "\x7f"]),
  blank: ranges(["\t", "\t"], [" ", " "]),
  cntrl: ranges(["\0", "\x1f"], ["\x7f", "\x7f"]),
  digit,
  graph: ranges(["!", "~"]),
  lower: ranges(["a", "z"]),
  print: ranges([" ", "~"]),
  punct: ranges(["!", "/"], [":", "@"], ["[", "`"], ["{", "~"]),
  space: ranges(["\t", "\r"], [" ", " "]),
  upper: ranges(["A", "Z"]),
  word,
  xdigit: ranges(["0", "9"], ["A", "F"], ["a", "f"]),
};

export function namedClass(name: string): CharTest | undefined {
  return Object.hasOwn(posix, name) ? posix[name] : undefined;
}

/** A general category (`L`, `Lu`) or a script (`Greek`). Undefined for what Unicode does not have. */
export function unicodeClass(name: string): CharTest | undefined {
  if (name === "Any") return () => true;
  if (!/^\w+$/.test(name)) return undefined;
  for (const property of [`General_Category=${name}`, `Script=${name}`]) {
    try {
      const pattern = new RegExp(`^\\p{${property}}$`, "u");
      return (code) => pattern.test(String.fromCodePoint(code));
    } catch {
      // not a property of that kind
    }
  }
  return undefined;
}

export function literalTest(char: string): CharTest {
  const wanted = char.codePointAt(0);
  return (code) => code === wanted;
}

export function inRanges(tests: readonly CharTest[]): CharTest {
  return (code) => tests.some((test) => test(code));
}

/** True for a character in either case. */
export function foldedTest(test: CharTest): CharTest {
  return (code) => {
    const char = String.fromCodePoint(code);
    return test(code) || test(char.toLowerCase().codePointAt(0) ?? 0) || test(char.toUpperCase().codePointAt(0) ?? 0);
  };
}

function not(test: CharTest): CharTest {
  return (code) => !test(code);
}
