import { describe, expect, test } from "bun:test";
import { re2 } from "./re2.ts";

const matches = (pattern: string, text: string) => re2([pattern])(text);

test.each([
  ["web", "my-web-1", true],
  ["^web$", "web", true],
  ["^web$", "web1", false],
  ["^/web", "/web", true],
  ["", "anything", true],
  ["a|b|", "zzz", true],
  ["^(a|bc)+$", "abcbca", true],
  ["^(a|bc)+$", "abcb", false],
  ["^(?:a|b)*?c{2,3}$", "abbaccc", true],
  ["^c{2,3}$", "cccc", false],
  ["^c{2}$", "cc", true],
  ["^c{2,}$", "cccccc", true],
  ["^x?y*z+$", "zz", true],
  ["a.c", "a\nc", false],
  ["(?s)a.c", "a\nc", true],
  ["(?i)STATS-a", "stats-A", true],
  ["(?i:A)b", "aB", false],
  ["(?i:A)b", "ab", true],
  ["(?i)a(?-i)b", "AB", false],
  ["(?i)[x-z]Ä", "Yä", true],
  ["x(?i)y|z", "xZ", true],
  ["(?m)^b$", "a\nb\nc", true],
  ["^b$", "a\nb\nc", false],
  ["(?P<n>a)(?<m>b)", "ab", true],
  ["[a-c]+[^a-c]", "abz", true],
  ["^[]a]+$", "]a]", true],
  ["^[^]a]+$", "bc", true],
  ["^[a\\]-]+$", "a]-", true],
  ["^[\\d_-]+$", "1_2-", true],
  ["^[[:alpha:][:digit:]]+$", "a1", true],
  ["^[[:^alpha:]]$", "a", false],
  ["^[[]$", "[", true],
  ["^\\d\\D\\s\\S\\w\\W$", "1a b_-", true],
  ["^\\pL\\p{Lu}\\p{Greek}\\PL$", "aAα1", true],
  ["\\p{^L}", "a", false],
  ["\\bweb\\b", "my web-1", true],
  ["\\bweb\\b", "myweb", false],
  ["\\Bweb", "myweb", true],
  ["^\\Qa.b*\\E+$", "a.b**", true],
  ["^\\Q(|)\\E$", "(|)", true],
  ["^\\Qab", "ab", true],
  ["a\\Q\\Eb", "ab", true],
  ["\\x41\\x{1F600}\\101\\t", "A😀A\t", true],
  ["\\Aa\\z", "a", true],
  ["^😀{2}$", "😀😀", true],
  ["a{,3}", "a{,3}", true],
  ["a{x", "a{x", true],
  ["^(a*)*$", "aaa", true],
  ["^(|a)+$", "aab", false],
])("%p on %p: %p", (pattern, text, expected) => {
  expect(matches(pattern, text)).toBe(expected);
});

test.each([
  ["("],
  [")"],
  ["(a"],
  ["a)"],
  ["["],
  ["[a"],
  ["[b-a]"],
  ["*a"],
  ["a**"],
  ["a{2}{3}"],
  ["a{2,1}"],
  ["a{1001}"],
  ["\\"],
  ["\\y"],
  ["\\1"],
  ["(?=a)"],
  ["(?<!a)"],
  ["(?<a"],
  ["(?i"],
  ["\\p{Nothing}"],
  ["[[:nothing:]]"],
  ["\\x{110000}"],
  ["(".repeat(2000)],
])("%p is malformed and matches nothing", (pattern) => {
  for (const text of ["", "a", "y", pattern]) expect([text, matches(pattern, text)]).toEqual([text, false]);
});

test("several are alternatives, each with its own flags", () => {
  const any = re2(["^a$", "(?i)B", "("]);
  expect(["a", "xb", "aa", "("].map(any)).toEqual([true, true, false, false]);
  expect(re2([])("")).toBe(false);
});

test("what grows too large is refused", () => {
  expect(() => re2(["((a{100}){100}){100}"])).toThrow("too large");
  expect(() => re2(Array.from({ length: 20 }, () => "a{1000}"))).toThrow("too large");
});

describe("what takes others exponential time", () => {
  test.each([["(a+)+$"], ["(a|a)*$"], ["(a*)*b"], ["^(\\w+\\s?)*$"], ["(.*a){20}"], ["(x+x+)+y"]])("%p", (pattern) => {
    const text = `${"a".repeat(500)}${"x".repeat(500)}!`;
    // Where ways to match are tried one after the other this outlasts every test.
    expect(matches(pattern, text)).toBeBoolean();
  });
});

test("says what JavaScript says, on expressions that both have", () => {
  const atoms = ["a", "b", "[ab]", "[^a]", ".", "(a|b)", "(ab)*", "a+", "b?", "(a|ab)(c|bcd)?", "^a", "b$", "a{2}"];
  const texts = ["", "a", "b", "ab", "aab", "abcd", "bbbb", "abab", "cab"];
  for (const first of atoms)
    for (const second of atoms)
      for (const text of texts) {
        const pattern = `${first}${second}|${second}c`;
        expect([pattern, text, matches(pattern, text)]).toEqual([pattern, text, new RegExp(pattern).test(text)]);
      }
});
