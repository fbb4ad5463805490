import { afterAll, beforeEach, expect, test } from "bun:test";
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CopyInput, copyJob } from "./copy.ts";
import { selectJob } from "./select.ts";

const top = mkdtempSync(join(tmpdir(), "berth-builder-parents-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));
let count = 0;
let from: string;
let to: string;
beforeEach(() => {
  const here = join(top, `${count++}`);
  [from, to] = [join(here, "from"), join(here, "to")];
  mkdirSync(from, { recursive: true });
  mkdirSync(to);
});

const context = { check: () => undefined, report: () => undefined };

function tree(root: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(name.endsWith("/") ? path : join(path, ".."), { recursive: true });
    if (!name.endsWith("/")) writeFileSync(path, text);
  }
}

const select = (sources: readonly string[], exclude: readonly string[]) =>
  selectJob.run({ root: from, sources, exclude, deep: true, where: "context", keyword: "COPY" }, context) as Exclude<
    ReturnType<typeof selectJob.run>,
    Promise<unknown>
  >;

async function copy(sources: readonly string[], destination: string, more: Partial<CopyInput>) {
  const { exclude = [] } = more;
  const selected = select(sources, exclude).selected.map((item) => ({ ...item, unpack: false }));
  const owner = { uid: 0, gid: 0 };
  await copyJob.run({ from, selected, to, destination, owner, link: false, exclude, ...more }, context);
}

const mode = (path: string) => (lstatSync(join(to, path)).mode & 0o7777).toString(8);

const parents: Record<string, [string[], string[], string[]?]> = {
  "a file keeps its directories": [["x/y/b"], ["x/y/b"]],
  "a directory keeps them, and all that is in it": [["x/y/"], ["x/y/b", "x/y/c.md"]],
  "those in front of the first /./ are left out": [
    ["x/./y/b", "p/./q/./r"],
    ["q/r", "y/b"],
  ],
  "the part in front may be a pattern": [["x*/./y/*"], ["y/b", "y/c.md", "y/d"]],
  "two stars go through directories": [["**/*.md"], ["x/y/c.md"]],
  "and through none": [["x/**/a"], ["x/a"]],
  "what is excluded is named from there": [["./x"], ["x/a", "x/y/b"], ["x/y/c.md"]],
  "exclusions start behind the /./, too": [["x/./y"], ["y/c.md"], ["y/b"]],
  everything: [["."], ["p/q/r", "x/a", "x/y/b", "x/y/c.md", "x2/y/d"]],
  "a pattern that matches nothing makes nothing": [["x/n*"], []],
};
test.each(Object.entries(parents))("%s", async (_, [sources, expected, exclude = []]) => {
  tree(from, { "x/a": "A", "x/y/b": "B", "x/y/c.md": "", "x2/y/d": "", "p/q/r": "R" });
  await copy(sources, "/o/", { exclude });
  const found = readdirSync(join(to, "o"), { recursive: true, withFileTypes: true });
  const files = found.flatMap((one) => (one.isFile() ? [join(one.parentPath, one.name).slice(to.length + 3)] : []));
  expect(files.sort()).toEqual(expected);
});

test("directories on the way are as they are at the source", async () => {
  tree(from, { "x/y/b": "" });
  chmodSync(join(from, "x"), 0o700);
  tree(to, { "t/x/": "" });
  await copy(["x/y/b"], "/o/", { owner: { uid: 7, gid: 7 } });
  await copy(["x/y/b"], "/t/", { owner: { uid: 7, gid: 7 } });
  expect([mode("o/x"), lstatSync(join(to, "o/x")).uid]).toEqual(["700", 7]);
  expect([mode("t/x"), lstatSync(join(to, "t/x")).uid]).toEqual(["700", 0]);
});

test("the digest knows what --parents leaves out", () => {
  tree(from, { "x/a": "A", "x/b": "B" });
  const digest = (source: string) => select([source], []).digest;
  const before = digest("x/a");
  tree(from, { "x/c": "" });
  expect(digest("x/a")).toBe(before);
  expect(digest("./x/./a")).not.toBe(digest("x/b"));
});
