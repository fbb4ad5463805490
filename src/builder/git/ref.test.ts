import { describe, expect, test } from "bun:test";
import { parseGitContext, parseGitRef } from "./ref.ts";

describe("repositories", () => {
  const refs: Record<string, unknown> = {
    "https://h/r.git": { remote: "https://h/r.git" },
    "https://h/r.git#v1": { remote: "https://h/r.git", ref: "v1" },
    "https://h/r.git#v1:docs/a": { remote: "https://h/r.git", ref: "v1", subdir: "docs/a" },
    "https://h/r.git#:docs/": { remote: "https://h/r.git", subdir: "docs" },
    "git@h:o/r.git#main": { remote: "git@h:o/r.git", ref: "main" },
    "git@h:o/r": { remote: "git@h:o/r" },
    "git://h/r": { remote: "git://h/r" },
    "ssh://git@h:22/r": { remote: "ssh://git@h:22/r" },
    "https://h/r.git?ref=v1&subdir=/docs": { remote: "https://h/r.git", ref: "v1", subdir: "docs" },
    "https://h/r.git?tag=v1": { remote: "https://h/r.git", ref: "refs/tags/v1" },
    "https://h/r.git?branch=main&keep-git-dir=1&submodules=false": {
      remote: "https://h/r.git",
      ref: "refs/heads/main",
      keepGitDir: true,
      submodules: false,
    },
    "https://h/r.git?commit=0123456789": { remote: "https://h/r.git", ref: "0123456789", checksum: "0123456789" },
    "https://h/r.git?ref=v1#v1": { remote: "https://h/r.git", ref: "v1" },
  };
  test.each(Object.entries(refs))("%s", (text, expected) => {
    expect(parseGitRef(text) as unknown).toEqual(expected);
  });

  const others = [
    "https://h/r",
    "https://h/r.git/x",
    "file.git",
    "./git@h:x",
    "github.com/o/r",
    "a:b",
    "file:///r.git",
  ];
  test.each(others)("%s is none", (text) => {
    expect(parseGitRef(text)).toBeUndefined();
  });

  const wrong: Record<string, string> = {
    "https://h/r.git?ref=a#b": 'ref conflicts: "b" vs "a"',
    "https://h/r.git?ref=": 'query "ref" has no value',
    "https://h/r.git?ref=a&ref=b": 'query "ref" has multiple values',
    "https://h/r.git?x=1": 'unexpected query "x"',
    "https://h/r.git?submodules=maybe": 'invalid submodules value: "maybe"',
    "https://h/r.git?commit=main": 'invalid checksum "main"',
    "https://h/r.git#--upload-pack=x": 'invalid reference "--upload-pack=x"',
    "https://h/r.git#a b": 'invalid reference "a b"',
    "https://h/r.git#+a": 'invalid reference "+a"',
    "https://h/r.git#v1:../x": 'invalid subdirectory "../x"',
    "git://h/ r": "invalid repository",
  };
  test.each(Object.entries(wrong))("%s is refused", (text, message) => {
    expect(() => parseGitRef(text)).toThrow(message);
  });
});

describe("the place of a build context", () => {
  const places: Record<string, ReturnType<typeof parseGitContext>> = {
    "github.com/o/r": { remote: "https://github.com/o/r.git" },
    "github.com/o/r.git#v1:docs": { remote: "https://github.com/o/r.git", ref: "v1", subdir: "docs" },
    "github.com/o/r/?branch=main": { remote: "https://github.com/o/r.git", ref: "refs/heads/main" },
    "git://h/r#v1": { remote: "git://h/r", ref: "v1" },
    "https://h/context.tar.gz": undefined,
    "https://h/github.com/o/r": undefined,
  };
  test.each(Object.entries(places))("%s", (text, expected) => {
    expect(parseGitContext(text, {})).toEqual(expected);
  });

  test("its argument keeps .git, the query goes before it", () => {
    const kept = (text: string, value: string | null) =>
      parseGitContext(text, { BUILDKIT_CONTEXT_KEEP_GIT_DIR: value })?.keepGitDir;
    expect([kept("git://h/r", "1"), kept("git://h/r", "0"), kept("git://h/r", null)]).toEqual([true, false, undefined]);
    expect(kept("git://h/r?keep-git-dir=0", "1")).toBe(false);
    expect(() => kept("git://h/r", "maybe")).toThrow('invalid BUILDKIT_CONTEXT_KEEP_GIT_DIR value: "maybe"');
  });
});
