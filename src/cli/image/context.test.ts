import { afterAll, beforeAll, expect, test } from "bun:test";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { collect, readTar } from "../../stream/mod.ts";
import { type ContextRequest, findContext, type SentContext, sentContext } from "./context.ts";
import { stdinContext } from "./stdin-context.ts";

const directoryContext = (request: ContextRequest) => sentContext(findContext(request));

let cwd = "";
beforeAll(() => {
  cwd = mkdtempSync("/tmp/berth-context-");
});
afterAll(() => rmSync(cwd, { recursive: true }));

/** A directory with these files; a name that ends with a slash is a directory, `a -> b` a symlink. */
function tree(name: string, files: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(files)) {
    const full = `${cwd}/${name}/${path}`;
    const [link = "", target] = full.split(" -> ");
    mkdirSync(link.slice(0, link.lastIndexOf("/")), { recursive: true });
    if (target !== undefined) symlinkSync(target, link);
    else if (!path.endsWith("/")) writeFileSync(full, text);
  }
  return name;
}

async function sent({ bytes }: SentContext): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { header, content } of readTar(bytes)) {
    const link = header.linkname ? ` -> ${Buffer.from(header.linkname)}` : "";
    const name = Buffer.from(header.name).toString("latin1") + (header.type === "directory" ? "/" : "") + link;
    found[name] = Buffer.from(await collect(content, 1 << 24)).toString();
    expect([header.uid, header.gid]).toEqual([0, 0]);
  }
  return found;
}

const names = async (context: SentContext) => Object.keys(await sent(context));

test("everything goes, links as links, in the order of names", async () => {
  const directory = tree("all", { Dockerfile: "FROM x", "b/c": "1", "a/": "", "l -> /etc/passwd": "", "..odd": "2" });
  const context = directoryContext({ directory, file: "", cwd });
  expect(context.dockerfile).toBe("Dockerfile");
  expect(await sent(context)).toEqual({
    "..odd": "2",
    Dockerfile: "FROM x",
    "a/": "",
    "b/": "",
    "b/c": "1",
    "l -> /etc/passwd": "",
  });
});

test("a file of several names is sent once, unless its other names are not part of the context", async () => {
  const directory = tree("hard", { Dockerfile: "FROM x", "a/one": "1", ".dockerignore": "z\n", z: "2" });
  linkSync(`${cwd}/hard/a/one`, `${cwd}/hard/b`);
  linkSync(`${cwd}/hard/z`, `${cwd}/hard/c`);
  const found = await sent(directoryContext({ directory, file: "", cwd }));
  expect(found).toEqual({
    ".dockerignore": "z\n",
    Dockerfile: "FROM x",
    "a/": "",
    "a/one": "1",
    "b -> a/one": "",
    c: "2",
  });
});

test("names that are no text are sent as they are", async () => {
  const directory = tree("bytes", { Dockerfile: "FROM x" });
  writeFileSync(Buffer.concat([Buffer.from(`${cwd}/${directory}/`), Buffer.from([0x61, 0xff, 0xfe])]), "odd");
  expect(await sent(directoryContext({ directory, file: "", cwd }))).toMatchObject({ "a\xff\xfe": "odd" });
});

test(".dockerignore leaves out, and takes back in; the engine gets it and the Dockerfile whatever it says", async () => {
  const files = { Dockerfile: "F", "a/x": "", "a/keep": "", "b/y": "", "deep/er/keep": "", "c.log": "", c: "" };
  const directory = tree("ignore", { ...files, ".dockerignore": "*\n!a/keep\n!**/er/keep\n!c\n" });
  expect(await names(directoryContext({ directory, file: "", cwd }))).toEqual([
    ".dockerignore",
    "Dockerfile",
    "a/keep",
    "c",
    "deep/er/keep",
  ]);
  const simple = tree("simple", { ...files, ".dockerignore": "# no\nb\n*.log\ndeep/**\n" });
  expect(await names(directoryContext({ directory: simple, file: "", cwd }))).toEqual([
    ".dockerignore",
    "Dockerfile",
    "a/",
    "a/keep",
    "a/x",
    "c",
    "deep/",
  ]);
});

test("a Dockerfile's own ignore file counts instead, and hides the general one", async () => {
  const directory = tree("own", {
    "d/F": "FROM own",
    "d/F.dockerignore": "secret",
    ".dockerignore": "*",
    secret: "",
    x: "",
  });
  const context = directoryContext({ directory, file: "own/d/F", cwd });
  expect(context.dockerfile).toBe("d/F");
  expect(await names(context)).toEqual(["d/", "d/F", "d/F.dockerignore", "x"]);
});

test("a Dockerfile from elsewhere goes along under a name of its own", async () => {
  const directory = tree("elsewhere", { x: "" });
  tree("other", { F: "FROM other" });
  const context = directoryContext({ directory, file: "other/F", cwd });
  expect(context.dockerfile).toMatch(/^\.dockerfile\.[0-9a-f]{32}$/);
  expect(await sent(context)).toEqual({ x: "", [context.dockerfile]: "FROM other" });
  const typed = directoryContext({ directory, file: Buffer.from("FROM typed"), cwd });
  expect(await sent(typed)).toEqual({ x: "", [typed.dockerfile]: "FROM typed" });
});

test("a context may be reached through a link", async () => {
  tree("real", { Dockerfile: "F" });
  symlinkSync("real", `${cwd}/link`);
  expect(directoryContext({ directory: "link", file: "", cwd }).dockerfile).toBe("Dockerfile");
  expect(directoryContext({ directory: "link", file: "link/Dockerfile", cwd }).dockerfile).toBe("Dockerfile");
});

test("a deep and broad tree", async () => {
  const files: Record<string, string> = { Dockerfile: "F" };
  for (let at = 0; at < 2000; at++) files[`many/${at % 50}/${at}`] = String(at);
  files[`${"d/".repeat(300)}leaf`] = "deep";
  files["big"] = "b".repeat(3 << 20);
  const found = await sent(directoryContext({ directory: tree("large", files), file: "", cwd }));
  expect(Object.keys(found).filter((name) => !name.endsWith("/"))).toHaveLength(2003);
  expect(found[`${"d/".repeat(300)}leaf`]).toBe("deep");
  expect(found["big"]).toHaveLength(3 << 20);
});

test("what cannot be a context", () => {
  tree("empty", { "x/": "" });
  tree("file", { f: "" });
  const make =
    (directory: string, file = "") =>
    () =>
      directoryContext({ directory, file, cwd });
  expect(make("nowhere")).toThrow('unable to prepare context: path "nowhere" not found');
  expect(make("file/f")).toThrow("context must be a directory");
  expect(make("empty")).toThrow(
    `unable to evaluate symlinks in Dockerfile path: lstat ${cwd}/empty/Dockerfile: no such file or directory`,
  );
  expect(make("empty", "empty/x")).toThrow("unable to prepare context");
  const bad = tree("bad", { Dockerfile: "F", ".dockerignore": "[" });
  expect(collect(directoryContext({ directory: bad, file: "", cwd }).bytes, 1 << 20)).rejects.toThrow(
    "syntax error in pattern",
  );
});

test("standard input is an archive or a Dockerfile", async () => {
  const input = async function* (...chunks: readonly Uint8Array[]) {
    yield* chunks;
  };
  const typed = await stdinContext(input(Buffer.from("FROM "), Buffer.from("x")), "");
  expect(await sent(typed)).toEqual({ Dockerfile: "FROM x" });
  const archive = Buffer.from(
    await collect(directoryContext({ directory: tree("in", { Dockerfile: "F" }), file: "", cwd }).bytes, 1 << 20),
  );
  const pieces = [archive.subarray(0, 100), archive.subarray(100, 600), archive.subarray(600)];
  const passed = await stdinContext(input(...pieces), "sub/F");
  expect(passed.dockerfile).toBe("sub/F");
  expect(Buffer.from(await collect(passed.bytes, 1 << 20)).equals(archive)).toBe(true);
  const packed = Bun.gzipSync(archive);
  expect(
    Buffer.from(await collect((await stdinContext(input(packed), "")).bytes, 1 << 20)).equals(Buffer.from(packed)),
  ).toBe(true);
});
