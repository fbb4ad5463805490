import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { readXattr, setXattr } from "../../host/mod.ts";
import { archive } from "../../layers/testing/store.ts";
import { missingPath } from "../files/select.ts";
import { lookForStubs } from "../ops/stubs.ts";
import { type CopyInput, copyJob } from "./copy.ts";
import { type SelectInput, selectJob } from "./select.ts";
import { stubsJob } from "./stubs.ts";
import { workdirJob } from "./workdir.ts";

const top = mkdtempSync(join(tmpdir(), "berth-builder-jobs-"));
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
const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");

/** Files by name: a text, a directory for a slash at the end, a link for `-> target`. */
function tree(root: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(name.endsWith("/") ? path : join(path, ".."), { recursive: true });
    if (text.startsWith("-> ")) symlinkSync(text.slice(3), path);
    else if (!name.endsWith("/")) writeFileSync(path, text);
  }
}

const select = (sources: readonly string[], more: Partial<SelectInput> = {}) =>
  selectJob.run(
    { root: from, sources, exclude: [], deep: false, where: "context", keyword: "COPY", ...more },
    context,
  ) as Exclude<ReturnType<typeof selectJob.run>, Promise<unknown>>;

async function copy(
  sources: readonly string[],
  destination: string,
  more: Partial<CopyInput> & { deep?: boolean; unpack?: boolean } = {},
) {
  const { unpack = false, deep = false, ...rest } = more;
  const { selected } = select(sources, { exclude: more.exclude ?? [], deep });
  const items = selected.map((item) => ({ ...item, unpack }));
  const owner = { uid: 0, gid: 0 };
  const input = { from, selected: items, to, destination, owner, link: false, exclude: [], ...rest };
  await copyJob.run(input, context);
}

const read = (path: string) => readFileSync(join(to, path), "utf8");
const mode = (path: string) => (lstatSync(join(to, path)).mode & 0o7777).toString(8);
const names = (sources: readonly string[], more?: Partial<SelectInput>) =>
  select(sources, more).selected.map(({ name }) => name);

describe("selecting", () => {
  test("patterns stay within a component, links are followed inside of the root", () => {
    tree(from, {
      "a.txt": "",
      ".b.txt": "",
      "d/c.txt": "",
      "d/e/f.txt": "",
      link: "-> /d",
      out: "-> ../../../../etc/passwd",
    });
    expect(names(["*.txt"])).toEqual([".b.txt", "a.txt"]);
    expect(names(["*/*.txt"])).toEqual(["d/c.txt"]);
    expect(names(["link/*.txt"])).toEqual(["link/c.txt"]);
    expect(select(["link"]).selected).toMatchObject([{ real: "d", name: "link", type: "directory" }]);
    expect(() => select(["out"])).toThrow("stat out: file does not exist");
  });

  test("what is missing or outside is refused in docker's words, a pattern may match nothing", () => {
    tree(from, { a: "" });
    const lost =
      "COPY failed: file not found in build context or excluded by .dockerignore: stat b/c: file does not exist";
    expect(() => select(["b/c"])).toThrow(lost);
    expect(() => select(["/b"], { where: "stage" })).toThrow("COPY failed: stat b: file does not exist");
    expect(() => select(["../b"])).toThrow("forbidden path outside the build context: ../b ()");
    expect(names(["../a", "/../../a", "../*"])).toEqual(["a", "a", "a"]);
    expect(names(["x*"])).toEqual([]);
    expect(() => select(["b/./c"], { deep: true })).toThrow("stat b: file does not exist");
    expect(() => select(["./a/b"], { deep: true })).toThrow("stat a/b: file does not exist");
    tree(from, { "d/e": "", link: "-> d" });
    expect(() => select(["link/e"], { deep: true })).toThrow("stat link/e: file does not exist");
    expect(select(["link/./e"], { deep: true }).selected).toMatchObject([{ real: "d", include: "e" }]);
    expect(() => select(["[a"])).toThrow("syntax error in pattern");
  });

  test("the path that is missing is read from the error", () => {
    tree(from, { a: "" });
    const missing = (source: string, more?: Partial<SelectInput>) => {
      try {
        return select([source], more).selected;
      } catch (err) {
        return missingPath(err);
      }
    };
    expect(missing("b/c")).toBe("b/c");
    expect(missing("/b\nc", { where: "stage" })).toBe("b\nc");
    expect(missing("../../b")).toBe("b");
    expect(missing("[a")).toBeUndefined();
  });

  test("the digest is of names, modes, contents and links, and of no times", () => {
    tree(from, { "d/a": "1", "d/l": "-> a" });
    const digest = () => select(["d"]).digest;
    const first = digest();
    const changes: [string, () => void, boolean][] = [
      ["a time", () => utimesSync(join(from, "d/a"), 1, 1), true],
      ["an owner in a context", () => chownSync(join(from, "d/a"), 5, 5), true],
      ["a mode", () => chmodSync(join(from, "d/a"), 0o600), false],
      ["a name", () => tree(from, { "d/b": "" }), false],
      ["an attribute", () => setXattr(join(from, "d/a"), "user.x", Buffer.from("1")), false],
    ];
    let before = first;
    for (const [what, change, same] of changes) {
      change();
      expect([what, digest() === before]).toEqual([what, same]);
      before = digest();
    }
    expect(select(["d"], { exclude: ["b"] }).digest).not.toBe(before);
    expect(select(["d"], { where: "stage" }).digest).not.toBe(before);
  });
});

describe("copying", () => {
  test("files: to a name, into a directory, into new ones", async () => {
    tree(from, { a: "A", b: "B" });
    mkdirSync(join(to, "there"));
    await copy(["a"], "/new/name");
    await copy(["a"], "/there");
    await copy(["a", "b"], "/dir/");
    expect([read("new/name"), read("there/a"), read("dir/b")]).toEqual(["A", "A", "B"]);
    expect(mode("dir")).toBe("755");
  });

  test("a directory gives its contents, with everything they are", async () => {
    tree(from, { "d/f": "F", "d/sub/": "", "d/l": "-> /nowhere", "d/hard": "H" });
    linkSync(join(from, "d/hard"), join(from, "d/also"));
    chmodSync(join(from, "d/f"), 0o4711);
    chmodSync(join(from, "d/sub"), 0o1777);
    utimesSync(join(from, "d/f"), 5, 5);
    setXattr(join(from, "d/f"), "security.capability", capability);
    await copy(["d"], "/out");
    expect([mode("out"), mode("out/f"), mode("out/sub")]).toEqual(["755", "4711", "1777"]);
    expect(readlinkSync(join(to, "out/l"))).toBe("/nowhere");
    expect(lstatSync(join(to, "out/also")).ino).toBe(lstatSync(join(to, "out/hard")).ino);
    expect(lstatSync(join(to, "out/f")).mtimeMs).toBe(5000);
    expect(readXattr(join(to, "out/f"), "security.capability")).toEqual(capability);
  });

  test("owner and mode are for what is copied and for directories on the way, the mode not for those", async () => {
    tree(from, { "d/f": "" });
    chownSync(join(from, "d/f"), 9, 9);
    await copy(["d"], "/x/y", { owner: { uid: 1, gid: 2 }, mode: "640" });
    for (const path of ["x", "x/y", "x/y/f"]) expect(lstatSync(join(to, path))).toMatchObject({ uid: 1, gid: 2 });
    expect([mode("x/y"), mode("x/y/f")]).toEqual(["755", "640"]);
    const { selected } = select(["d"], { where: "stage" });
    const input = {
      from,
      selected: selected.map((item) => ({ ...item, unpack: false })),
      to,
      destination: "/kept",
      link: false,
      exclude: [],
    };
    await copyJob.run(input, context);
    expect(lstatSync(join(to, "kept/f"))).toMatchObject({ uid: 9, gid: 9 });
  });

  test("links of the destination lead no further than its root", async () => {
    tree(from, { f: "F" });
    tree(to, {
      "real/": "",
      abs: "-> /real",
      up: "-> ../../../../../../real",
      file: "-> real/target",
      "real/target": "old",
    });
    await copy(["f"], "/abs/1");
    await copy(["f"], "/up/");
    await copy(["f"], "/file");
    expect([read("real/1"), read("real/f"), read("real/target")]).toEqual(["F", "F", "F"]);
    expect(existsSync("/real")).toBe(false);
  });

  test("--link replaces links of the destination", async () => {
    tree(from, { f: "F" });
    tree(to, { "real/f": "old", dir: "-> real" });
    await copy(["f"], "/dir/f", { link: true });
    expect([read("real/f"), lstatSync(join(to, "dir")).isDirectory()]).toEqual(["old", true]);
  });

  test("--link knows nothing of what is there: directories are made anew, what is in the way goes", async () => {
    tree(from, { f: "1", "d/g": "2" });
    tree(to, { "open/kept": "k", "gone/x": "x", file: "y", "deep/g/z": "z" });
    chmodSync(join(to, "open"), 0o1777);
    chownSync(join(to, "open"), 5, 5);
    await copy(["f"], "/open/", { link: true });
    await copy(["f"], "/gone", { link: true });
    await copy(["d"], "/file", { link: true });
    await copy(["d"], "/deep", { link: true });
    expect([mode("open"), lstatSync(join(to, "open")).uid, read("open/kept"), read("open/f")]).toEqual([
      ...["755", 0, "k", "1"],
    ]);
    expect([read("gone"), read("file/g"), read("deep/g")]).toEqual(["1", "2", "2"]);
  });

  test("a link of the destination may lead to where no directory is yet, and several files to one", async () => {
    tree(from, { a: "1", b: "2" });
    tree(to, { link: "-> /new/place" });
    await copy(["a"], "/link");
    await copy(["a", "b"], "/last");
    expect([read("new/place"), read("last")]).toEqual(["1", "2"]);
  });

  test("a pipe is a pipe, also where archives are unpacked", async () => {
    execFileSync("mkfifo", [join(from, "pipe")]);
    await copy(["pipe"], "/p", { unpack: true });
    expect(lstatSync(join(to, "p")).isFIFO()).toBe(true);
  });

  test("merging replaces files and links, keeps what else is there, and takes over attributes of directories", async () => {
    tree(from, { "d/f": "new", "d/l": "file", "d/sub/x": "" });
    chmodSync(join(from, "d/sub"), 0o700);
    tree(to, { "t/f": "old", "t/l": "-> keep", "t/keep": "K", "t/sub/y": "Y" });
    await copy(["d"], "/t");
    expect([read("t/f"), read("t/l"), read("t/keep"), read("t/sub/y"), mode("t/sub")]).toEqual([
      "new",
      "file",
      "K",
      "Y",
      "700",
    ]);
  });

  test("--exclude, with exceptions", async () => {
    tree(from, { "x/a": "A", "x/y/b": "B", "x/y/c.md": "", "x/z/d.md": "", "x/w/e": "", "x/w/f": "" });
    await copy(["x"], "/e", { exclude: ["**/*.md", "!z/d.md", "z", "w", "!w/f"] });
    const there = ["e/a", "e/y/b", "e/y/c.md", "e/z", "e/w/e", "e/w/f"].filter((path) => existsSync(join(to, path)));
    expect(there).toEqual(["e/a", "e/y/b", "e/w/f"]);
  });

  test("files and directories do not replace each other", async () => {
    tree(from, { "d/x": "", f: "" });
    tree(to, { "t/x/": "", file: "" });
    await expect(copy(["d"], "/t")).rejects.toThrow("cannot overwrite directory /t/x with non-directory");
    await expect(copy(["d"], "/file")).rejects.toThrow("cannot copy to non-directory: /file");
    await expect(copy(["f"], "/file/x")).rejects.toThrow("cannot create directory /file: not a directory");
  });

  test("a terabyte of nothing is digested and copied as such", async () => {
    for (const [name, tail] of Object.entries({ one: "end", other: "END" })) {
      writeFileSync(join(from, name), "begin");
      truncateSync(join(from, name), 2 ** 40);
      appendFileSync(join(from, name), tail);
    }
    expect(select(["one"]).digest).not.toBe(select(["other"]).digest);
    await copy(["one"], "/x");
    const { size, blocks } = lstatSync(join(to, "x"));
    expect([size, blocks < 100]).toEqual([2 ** 40 + 3, true]);
  });

  test("an endless link is an error", async () => {
    tree(from, { f: "" });
    tree(to, { loop: "-> loop" });
    await expect(copy(["f"], "/loop/x")).rejects.toThrow("too many levels of symbolic links");
  });
});

describe("archives of ADD", () => {
  const add = async (tar: Uint8Array, destination = "/out") => {
    writeFileSync(join(from, "a.tar"), tar);
    await copy(["a.tar"], destination, { unpack: true });
  };

  test("are unpacked with owners, modes, times and attributes, plain or compressed", async () => {
    const tar = await archive(
      { name: "d/", mode: 0o1770, uid: 5, gid: 6, mtime: 7_000_000_000n },
      {
        name: "d/f",
        text: "F",
        mode: 0o4755,
        uid: 1,
        gid: 2,
        xattrs: new Map([
          ["security.capability", capability],
          ["trusted.overlay.opaque", Buffer.from("y")],
        ]),
      },
      { name: "fifo", type: "fifo" },
      { name: "null", type: "character", major: 1, minor: 3, mode: 0o666 },
    );
    for (const [bytes, out] of [
      [tar, "/plain"],
      [gzipSync(tar), "/gz"],
    ] as const) {
      await add(bytes, out);
      expect(lstatSync(join(to, out, "d"))).toMatchObject({ uid: 5, gid: 6, mtimeMs: 7000 });
      expect([read(`${out}/d/f`), mode(`${out}/d/f`), mode(`${out}/d`)]).toEqual(["F", "4755", "1770"]);
      expect(readXattr(join(to, out, "d/f"), "trusted.overlay.opaque")).toBeUndefined();
      expect(lstatSync(join(to, out, "fifo")).isFIFO()).toBe(true);
      expect(lstatSync(join(to, out, "null")).isCharacterDevice()).toBe(true);
      rmSync(join(from, "a.tar"));
    }
  });

  test("a pipe is none, and nobody waits for its other end", async () => {
    Bun.spawnSync(["mkfifo", join(from, "p")]);
    await copy(["p"], "/p", { unpack: true });
    expect(lstatSync(join(to, "p")).isFIFO()).toBe(true);
  });

  test("what is no archive is copied", async () => {
    await add(Buffer.from("text"), "/text");
    await add(gzipSync("no tar"), "/zipped");
    await add(Buffer.alloc(10240), "/nothing");
    expect([read("text"), existsSync(join(to, "zipped")), read("nothing").length]).toEqual(["text", true, 10240]);
  });

  test("a file takes the place of a directory, and a directory that of a file", async () => {
    tree(to, { "o/d/x": "", "o/f": "" });
    await add(
      await archive({ name: "d", text: "file" }, { name: "f/", type: "directory" }, { name: "f/x", text: "x" }),
      "/o",
    );
    expect([read("o/d"), read("o/f/x")]).toEqual(["file", "x"]);
  });

  test("names with .. are refused, links lead nowhere outside", async () => {
    await expect(add(await archive("../x"))).rejects.toThrow('invalid name in archive: "../x" points outside');
    await add(await archive({ name: "l", linkname: "/etc" }, "l/made"), "/o");
    expect([existsSync(join(to, "etc/made")), existsSync("/etc/made")]).toEqual([true, false]);
    const hard = { name: "h", type: "hardlink" as const, linkname: "../../../../etc/passwd" };
    await expect(add(await archive(hard), "/p")).rejects.toThrow("points outside");
    await expect(add(await archive({ ...hard, linkname: "etc/passwd" }), "/p")).rejects.toThrow(
      "which the archive does not hold",
    );
  });

  test("a broken one is an error", async () => {
    const tar = await archive({ name: "f", text: "x".repeat(2000) });
    await expect(add(tar.subarray(0, 1500))).rejects.toThrow("Truncated tar archive");
  });
});

test("WORKDIR's directory: made once, by its owner, never in place of a file", async () => {
  const input = { root: to, path: "/a/b", owner: { uid: 3, gid: 4 } };
  expect(await workdirJob.run(input, context)).toBe(false);
  expect(await workdirJob.run(input, context)).toBe(true);
  expect(lstatSync(join(to, "a/b"))).toMatchObject({ uid: 3, gid: 4 });
  tree(to, { file: "" });
  expect(() => workdirJob.run({ ...input, path: "/file" }, context)).toThrow("cannot mkdir: /file is not a directory");
});

test("mount points that were made are taken away, what a step wrote is not", async () => {
  const { rooted } = await import("../../host/mod.ts");
  tree(from, { "etc/passwd": "", "var/": "" });
  const stubs = lookForStubs(rooted(from), ["/etc/hosts", "/etc/passwd", "/new/deep", "/var/x", "/kept/file"]);
  expect(stubs.missing).toEqual(
    ["/kept/file", "/new/deep", "/etc/hosts", "/var/x", "/kept", "/new"].sort(
      (a, b) => b.split("/").length - a.split("/").length || (a < b ? -1 : 1),
    ),
  );
  tree(to, { "etc/hosts": "", "new/deep/": "", "var/x": "", "var/own": "mine", "kept/file": "written" });
  await stubsJob.run({ ...stubs, upper: to }, context);
  expect(["etc", "new", "var/x", "var/own", "kept/file"].map((path) => existsSync(join(to, path)))).toEqual([
    false,
    false,
    false,
    true,
    true,
  ]);
});
