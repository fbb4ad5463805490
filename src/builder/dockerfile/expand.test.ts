import { describe, expect, test } from "bun:test";
import { shellWord, shellWords } from "./expand.ts";

const env = new Map([
  ["A", "x"],
  ["A_B", "y"],
  ["EMPTY", ""],
  ["SPACED", "one two"],
  ["STR", "foobarbaz"],
  ["SLASH", "a\\b"],
]);
const word = (text: string, mark = "\\") => shellWord(text, { escape: mark, env });

describe("a word", () => {
  const cases: Record<string, string> = {
    "$A_B ${A}_B $A-B $A/$A_B": "y x_B x-B x/y",
    "pre${A}post$": "prexpost$",
    "\\$A \\${A} '$A' \"\\$A\" \\\\$A": ["$A", "$", "{A} $A $A \\x"].join(" ").replace("$ {", "${"),
    "\"a\\b\" 'a\\b' a\\b \"a\\\\b\" 'a\\\\b'": "a\\b a\\b ab a\\b a\\\\b",
    "\"a 'b' $A\"": "a 'b' x",
    "${NONE:-d} ${EMPTY:-d} ${EMPTY-d} ${A:-d}": "d d  x",
    "${NONE:+d} ${EMPTY:+d} ${EMPTY+d} ${A+d}": "  d d",
    '${NONE:-${ALSO:-$A}} ${NONE:-"a b"}': "x a b",
    "${A:?no} ${A?no}": "x x",
    "${STR#f*b} ${STR##f*b} ${STR%b*} ${STR%%b*} ${STR#nope} ${STR%?} ${STR#???}":
      "arbaz az foobar foo foobarbaz foobarba barbaz",
    "${STR/ba/BA} ${STR//ba/BA} ${STR//b?r/-}": "fooBArbaz fooBArBAz foo-baz",
    "${STR//*/all} ${STR//x*/-} ${EMPTY//*/e} ${STR//\\?/q}": "all foobarbaz e foobarbaz",
    "${SLASH#'a\\'} ${SLASH//'\\'/-} ${SLASH#\"a\\\\\"}": "b a-b b",
    "$NONE|$1|$A": "||x",
  };
  test.each(Object.entries(cases))("%s", (text, expected) => {
    expect(word(text)).toBe(expected);
  });

  test("another escape character leaves backslashes alone", () => {
    expect(word('`$A c:\\dir "x`"y"', "`")).toBe('$A c:\\dir x"y');
  });

  test("quotes are text in here-documents", () => {
    expect(shellWord('it\'s "$A" \\$A', { escape: "\\", env, keepQuotes: true })).toBe('it\'s "x" $A');
  });

  const errors: Record<string, string> = {
    "${A": "missing '}': unsupported modifier (\uFFFD) in substitution",
    "${A:}": "missing '}'",
    "${A+'b}": "syntax error: missing '}'",
    "${A/b}": ["missing '/' in $", "{}"].join(""),
    "${": "missing '}'",
    "${}": "bad substitution",
    "${A:=x}": "unsupported modifier (:=) in substitution",
    "${A:#x}": "unsupported modifier (:#) in substitution",
    "${A!x}": "unsupported modifier (!) in substitution",
    "${NONE:?give it}": "NONE: give it",
    "${EMPTY:?}": "EMPTY: is not allowed to be empty",
    "${NONE?}": "NONE: is not allowed to be unset",
    '"half': "looking for matching double-quote",
    "'half": "looking for matching single-quote",
  };
  test.each(Object.entries(errors))("%s is an error", (text, message) => {
    expect(() => word(text)).toThrow(`failed to process ${JSON.stringify(text)}: `);
    expect(() => word(text)).toThrow(message);
  });

  test("a long one takes time in proportion to its length", () => {
    const text = "$A".repeat(30_000);
    expect(word(text)).toBe("x".repeat(30_000));
  });
});

test("words split where a value has blanks, unless they are quoted", () => {
  expect(shellWords("$SPACED \"$SPACED\" '' $EMPTY a\\ b", { escape: "\\", env })).toEqual([
    "one",
    "two",
    "one two",
    "a b",
  ]);
});
