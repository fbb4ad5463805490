import { afterAll, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Entry, tar } from "../../../../test/support/tar.ts";
import { TarDecoder } from "../../../stream/mod.ts";
import type { Plan } from "./paths.ts";
import { LocalUnpacker } from "./unpack.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-unpack-"));
const outside = join(directory, "outside");
const to = join(directory, "to");
beforeEach(() => {
  for (const path of [outside, to]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path);
  }
  writeFileSync(join(outside, "file"), "mine");
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const made: string[] = [];

/** What went wrong, or nothing. */
function unpack(entries: readonly Entry[], rename?: Plan["rename"]): string {
  const makeNode = (path: Buffer) => {
    made.push(String(path));
    return "EPERM";
  };
  const unpacker = new LocalUnpacker({ directory: to, makeNode, ...(rename && { rename }) });
  const decoder = new TarDecoder(unpacker);
  try {
    decoder.push(tar(...entries));
    decoder.finish();
    unpacker.finish();
    return "";
  } catch (err) {
    unpacker.abandon();
    return String(err);
  }
}

const untouched = () => {
  expect(readdirSync(outside)).toEqual(["file"]);
  expect(readFileSync(join(outside, "file"), "utf8")).toBe("mine");
};

test("files, directories, links and their attributes", () => {
  const said = unpack([
    { name: "d/", type: "directory", mode: 0o555 },
    { name: "d/f", data: "text", mode: 0o640, mtime: 1_000_000_001 },
    { name: "d/hard", type: "hardlink", link: "d/f" },
    { name: "d/soft", type: "symlink", link: "../../outside" },
    { name: "implied/deep/f", data: "x" },
  ]);
  expect(said).toBe("");
  const stat = lstatSync(join(to, "d/f"));
  expect([stat.mode & 0o7777, stat.nlink, stat.mtimeMs]).toEqual([0o640, 2, 1_000_000_001_000]);
  expect(lstatSync(join(to, "d")).mode & 0o7777).toBe(0o555);
  expect(lstatSync(join(to, "d/soft")).isSymbolicLink()).toBe(true);
  expect(readFileSync(join(to, "implied/deep/f"), "utf8")).toBe("x");
});

test.each<[string, readonly Entry[]]>([
  ["a name with ..", [{ name: "../outside/file", data: "evil" }]],
  ["a name with .. in the middle", [{ name: "a/../../outside/file", data: "evil" }]],
  [
    "a symlink, then a file in it",
    [
      { name: "l", type: "symlink", link: outside },
      { name: "l/file", data: "evil" },
    ],
  ],
  [
    "a symlink, then a file through it twice",
    [
      { name: "d/", type: "directory" },
      { name: "d/l", type: "symlink", link: ".." },
      { name: "d/l/x", type: "symlink", link: "../outside" },
      { name: "d/l/x/file", data: "evil" },
    ],
  ],
  [
    "a symlink in the place of a directory that is known",
    [
      { name: "d/", type: "directory" },
      { name: "d/f", data: "x" },
      { name: "d", type: "symlink", link: outside },
      { name: "d/file", data: "evil" },
    ],
  ],
  ["a hard link to a file outside", [{ name: "h", type: "hardlink", link: "../outside/file" }]],
  [
    "a hard link through a symlink",
    [
      { name: "l", type: "symlink", link: outside },
      { name: "h", type: "hardlink", link: "l/file" },
      { name: "h", data: "evil" },
    ],
  ],
])("nothing is written outside: %s", (_, entries) => {
  expect(unpack(entries)).not.toBe("");
  untouched();
});

test("a symlink of the same name is replaced, not written through, and absolute names count from the directory", () => {
  symlinkSync(join(outside, "file"), join(to, "f"));
  expect(
    unpack([
      { name: "f", data: "new" },
      { name: `${outside}/abs`, data: "x" },
    ]),
  ).toBe("");
  expect(readFileSync(join(to, "f"), "utf8")).toBe("new");
  expect(existsSync(join(to, outside, "abs"))).toBe(true);
  symlinkSync(outside, join(to, "d"));
  expect(unpack([{ name: "d/", type: "directory", mode: 0o777 }])).toContain("cannot overwrite non-directory");
  expect(unpack([{ name: "d/file", data: "evil" }])).toContain("is not a directory");
  untouched();
});

test("names are given another first part, but not names that only begin alike", () => {
  const entries: Entry[] = [
    { name: "a/", type: "directory" },
    { name: "a/f", data: "1" },
    { name: "a/h", type: "hardlink", link: "a/f" },
    { name: "ab", data: "2" },
  ];
  expect(unpack(entries, { from: "a", to: "b" })).toBe("");
  expect(readdirSync(to).sort()).toEqual(["ab", "b"]);
  expect(readdirSync(join(to, "b")).sort()).toEqual(["f", "h"]);
  expect(unpack([{ name: "a", data: "x" }], { from: "a", to: "../outside/file" })).not.toBe("");
  untouched();
});

test("what was begun goes when the archive breaks off, and nodes that cannot be made are told", () => {
  expect(unpack([{ name: "half", data: "x", size: 5000 }])).toContain("Truncated");
  expect(existsSync(join(to, "half"))).toBe(false);
  expect(unpack([{ name: "null", type: "char", device: [1, 3] }])).toContain("(a character file): EPERM");
  expect(made).toEqual([join(to, "null")]);
});
