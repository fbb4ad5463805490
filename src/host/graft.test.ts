import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMounts } from "./mounts.ts";

const mounts = createMounts();
const directory = mkdtempSync(join(tmpdir(), "berth-graft-"));
const [root, source] = [join(directory, "root"), join(directory, "source")];
beforeEach(() => {
  for (const path of [root, source]) mkdirSync(path);
  mounts.mount({ type: "tmpfs", source: "root", options: [] }, root);
  writeFileSync(join(source, "f"), "from the source");
});
afterEach(() => {
  mounts.unmount(root, "detach");
  for (const path of [root, source]) rmSync(path, { recursive: true, force: true });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const bind = (from: string, destination: string, readOnly = false) => ({
  ...{ source: from, destination, readOnly },
  recursive: true,
});

test("directories and files, their places made where they are missing, one in another", () => {
  const inner = join(source, "inner");
  mkdirSync(inner);
  writeFileSync(join(inner, "g"), "deep");
  mounts.graft(root, [bind(source, "/a/b", true), bind(inner, "/a/b/made"), bind(join(source, "f"), "/x/file", true)]);
  expect(readFileSync(join(root, "a/b/f"), "utf8")).toBe("from the source");
  expect(readFileSync(join(root, "a/b/made/g"), "utf8")).toBe("deep");
  expect(readFileSync(join(root, "x/file"), "utf8")).toBe("from the source");
  for (const path of ["a/b/new", "x/file"]) expect(() => writeFileSync(join(root, path), "")).toThrow("EROFS");
  writeFileSync(join(root, "a/b/made/new"), "");
  expect(existsSync(join(inner, "new"))).toBe(true);
});

test("symlinks lead no further than the root", () => {
  const outside = join(directory, "outside");
  mkdirSync(outside);
  symlinkSync(outside, join(root, "link"));
  symlinkSync("../../../../../../../..", join(root, "up"));
  mounts.graft(root, [bind(source, "/link/here"), bind(source, `/up${outside}/there`)]);
  expect(existsSync(join(outside, "here"))).toBe(false);
  expect(existsSync(join(outside, "there"))).toBe(false);
  expect(readFileSync(join(root, outside, "here/f"), "utf8")).toBe("from the source");
  expect(mounts.list().filter(({ target }) => target.startsWith(outside))).toEqual([]);
});

test("what is mounted below a source goes with the root, and stays at the source", () => {
  const below = join(source, "below");
  mkdirSync(below);
  mounts.mount({ type: "tmpfs", source: "below", options: ["shared"] }, below);
  writeFileSync(join(below, "kept"), "");
  mounts.graft(root, [bind(source, "/s")]);
  expect(existsSync(join(root, "s/below/kept"))).toBe(true);
  mounts.unmount(root, "detach");
  expect(existsSync(join(below, "kept"))).toBe(true);
  mounts.unmount(below);
  mounts.mount({ type: "tmpfs", source: "root", options: [] }, root);
});

test("a directory is not mounted on a file, nor what is not there", () => {
  writeFileSync(join(root, "file"), "");
  expect(() => mounts.graft(root, [bind(source, "/file")])).toThrow("is not a directory");
  mkdirSync(join(root, "directory"));
  expect(() => mounts.graft(root, [bind(join(source, "f"), "/directory")])).toThrow("ENOTDIR");
  expect(() => mounts.graft(root, [bind(join(source, "none"), "/x")])).toThrow("ENOENT");
});
