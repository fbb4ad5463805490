import { describe, expect, test } from "bun:test";
import { ignoreMatcher, readIgnoreFile } from "./mod.ts";

const ignores = (patterns: string, path: string) => ignoreMatcher(readIgnoreFile(patterns))(path);

describe(".dockerignore", () => {
  test("comments, blanks, slashes and a byte order mark", () => {
    const text = "\uFEFF# c\n\n  a  \n/b/\n! c/ \n./d/../e\n #f\n!\n/\r\n";
    expect(readIgnoreFile(text)).toEqual(["a", "b", "!c", "e", "#f", "!", "/"]);
  });

  const matching: Record<string, string[]> = {
    "**": ["file", "dir/file"],
    "**/": ["file", "dir/file"],
    "**/**": ["dir/file"],
    "dir/**": ["dir/file", "dir/dir2/file"],
    "**/dir": ["dir", "dir/file", "a/dir", "a/b/dir/c"],
    "**/dir2/*": ["dir/dir2/file", "dir/dir2/dir2/file"],
    "**/file": ["file", "dir/file"],
    "**file": ["file", "dir/file", "afile", "dir/afile"],
    "a**/*.txt": ["a/file.txt", "a/dir/file.txt", "ab/file.txt"],
    "*.go": ["x.go", "x.go/below"],
    "a[b-d]e": ["ace"],
    "a[^b-d]e": ["aze"],
    "a[\\]\\[x]e": ["a]e", "a[e", "axe"],
    "[!a]": ["!", "a"],
    "// *": ["x", "x/y"],
    "abc?def": ["abcZdef"],
    "a\\*b": ["a*b"],
    "a(b)c/d.|)$(}+{": ["a(b)c/d.|)$(}+{"],
    "x/./y": ["x/y", "x/y/z"],
  };
  test.each(Object.entries(matching))("%s matches", (pattern, paths) => {
    expect(paths.filter((path) => !ignores(pattern, path))).toEqual([]);
  });

  const others: Record<string, string[]> = {
    "abc/**": ["abc", "abcd"],
    "**/.foo": ["bar.foo"],
    "abc.def": ["abcdef", "abcZdef"],
    "*": [],
    "*/b": ["b", "a/c/b"],
    "a?b": ["a/b"],
    "a[b-d]e": ["ae", "afe"],
    "dir/*": ["dir"],
  };
  test.each(Object.entries(others))("%s does not match", (pattern, paths) => {
    expect(paths.filter((path) => ignores(pattern, path))).toEqual([]);
  });

  const last: Record<string, [string, boolean][]> = {
    "*\n!a/keep": [
      ["b", true],
      ["a", true],
      ["a/keep", false],
      ["a/keep/below", false],
    ],
    "!a\na": [["a", true]],
    "a\n!a\na/b": [
      ["a/c", false],
      ["a/b", true],
    ],
    "**/*.md\n!README*.md\nREADME-secret.md": [
      ["x/y.md", true],
      ["README.md", false],
      ["README-secret.md", true],
    ],
  };
  test.each(Object.entries(last))("%j: the last that matches decides", (patterns, expected) => {
    expect(expected.map(([path]) => [path, ignores(patterns, path)])).toEqual(expected);
  });

  test("what is no pattern is refused", () => {
    expect(() => ignores("!", "a")).toThrow('illegal exclusion pattern: "!"');
    for (const bad of ["a[", "[]a]", "[a-]", "[-a]", "[a\\", "a\\"]) {
      expect(() => ignores(bad, "a")).toThrow(`syntax error in pattern ${JSON.stringify(bad)}`);
    }
    expect(() => ignores("!/", "a")).toThrow('illegal exclusion pattern: "!"');
  });
});
