import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { dirname, join } from "node:path";
import { syncFiles } from "../../buildkit/file-sync.ts";
import type { Session } from "../../buildkit/session.ts";
import { openDoor, type TestDoor } from "../../buildkit/testing/door.ts";
import { connect } from "../../client/mod.ts";
import { messageOf } from "../../errors/mod.ts";
import { type Descriptor, digestOf, mediaTypes } from "../../oci/mod.ts";
import { fromBuffer } from "../../stream/mod.ts";
import type { CliIo } from "../io.ts";
import { openBuildSession } from "./build-session.ts";
import { CacheDirectory } from "./cache-directory.ts";
import { namedContexts, parseContextFlag, parseSecret, parseSsh } from "./session-flags.ts";

let door: TestDoor;
let agent: Server;
let directory: string;
beforeAll(async () => {
  door = await openDoor();
  directory = dirname(door.path);
  agent = createServer((socket) =>
    socket.on("data", (bytes: Buffer) => socket.write(Buffer.concat([Buffer.from("re:"), bytes]))),
  );
  await new Promise<void>((resolve) => agent.listen(join(directory, "agent"), resolve));
  writeFileSync(join(directory, "file"), "in a file");
});
afterAll(async () => {
  agent.close();
  await door[Symbol.asyncDispose]();
});

const { signal } = new AbortController();
const caches = new Map<string, CacheDirectory>();

function open(secret: string[], ssh: string[] = [], contexts: string[] = []) {
  const io = {
    cwd: directory,
    env: { NAME: "in a variable", both: "by its id", SSH_AUTH_SOCK: join(directory, "agent") },
  };
  const { directories } = namedContexts(contexts.map(parseContextFlag), directory);
  const flags = { secret: secret.map(parseSecret), ssh: ssh.map(parseSsh), directories, caches };
  return openBuildSession(connect(`unix://${door.path}`), flags, io as Partial<CliIo> as CliIo);
}

test("secrets from files and variables, named or by their ids", async () => {
  const flags = ["id=a,src=file", "id=b,env=NAME", "type=env,id=c,src=NAME", "id=both", "id=file"];
  await using session = await open(flags);
  const offered = await door.sessionOf(session.id, signal);
  const value = async (id: string) => Buffer.from((await offered.secret(id, signal)) ?? "none").toString();
  expect(await Promise.all(["a", "b", "c", "both", "file", "other"].map(value))).toEqual([
    ...["in a file", "in a variable", "in a variable", "by its id", "in a file", "none"],
  ]);
});

test("agents by their ids; a build lists keys and signs, no more", async () => {
  await using session = await open([], ["default", "work=agent"]);
  const offered = await door.sessionOf(session.id, signal);
  expect(await offered.hasAgent("default", signal)).toBe(true);
  expect(await offered.hasAgent("other", signal)).toBe(false);
  const list = Buffer.from([0, 0, 0, 1, 11]);
  const remove = Buffer.from([0, 0, 0, 1, 19]);
  const answers = offered.agent("work", said(list), signal)[Symbol.asyncIterator]();
  expect(Buffer.from((await answers.next()).value ?? []).toString("latin1")).toBe(`re:${list.toString("latin1")}`);
  const refused = offered.agent("work", said(remove), signal)[Symbol.asyncIterator]();
  expect((await refused.next()).value).toEqual(Uint8Array.of(0, 0, 0, 1, 5));
});

test("directories by the names of contexts, without what their .dockerignore leaves out", async () => {
  const root = join(directory, "ctx");
  mkdirSync(join(root, "d"), { recursive: true, mode: 0o750 });
  writeFileSync(join(root, ".dockerignore"), "**/*.log\n");
  for (const name of ["a.log", "d/b.log"]) writeFileSync(join(root, name), "no");
  writeFileSync(join(root, "d/x"), "X".repeat(600_000), { mode: 0o755 });
  writeFileSync(join(root, "empty"), "");
  symlinkSync("d/x", join(root, "l"));
  await using session = await open([], [], ["Lib=ctx", "web=https://example.com/a.git"]);
  const offered = (await door.sessionOf(session.id, signal)) as Session;
  const found: string[] = [];
  for await (const { header, content } of syncFiles(offered, { directory: "lib", signal })) {
    const bytes = Buffer.concat(await Array.fromAsync(content));
    found.push([Buffer.from(header.name), header.type, header.mode.toString(8), bytes.length].join(" "));
  }
  expect(found).toEqual([
    ...[".dockerignore file 644 9", "d directory 750 0", "d/x file 755 600000", "empty file 644 0", "l symlink 777 0"],
  ]);
  const only = { directory: "lib", followPaths: [".dockerignore"], signal };
  expect(
    (await Array.fromAsync(syncFiles(offered, only))).map(({ header }) => Buffer.from(header.name).toString()),
  ).toEqual([".dockerignore"]);
  const other = Array.fromAsync(syncFiles(offered, { directory: "web", signal })).then(() => "", String);
  expect(await other).toContain('no access allowed to dir "web"');
});

test("directories of caches, by name; what is written is there when it is complete and what it should be", async () => {
  const path = join(directory, "cache");
  caches.set("local:c", new CacheDirectory(path));
  await using session = await open([]);
  const offered = await door.sessionOf(session.id, signal);
  const store = offered.store("local:c");
  const whole = Buffer.alloc(3_000_000, "abc");
  const target = { mediaType: "m", digest: digestOf(whole), size: whole.length };
  expect(await store?.size(target.digest, signal)).toBeUndefined();
  await store?.write(target, fromBuffer(whole), signal);
  await store?.write(target, fromBuffer(whole), signal);
  expect(await store?.size(target.digest, signal)).toBe(whole.length);
  const read = async (one: Descriptor) => Buffer.concat(await Array.fromAsync(store?.read(one, signal) ?? []));
  expect((await read(target)).equals(whole)).toBe(true);
  const why = (work: Promise<unknown> | undefined) => Promise.resolve(work).then(() => "", messageOf);
  const other = { ...target, digest: digestOf("other") };
  expect(await why(store?.write(other, fromBuffer(whole), signal))).toContain(`expected ${other.digest}`);
  expect(await why(store?.write({ ...other, size: 5 }, fromBuffer(whole), signal))).toContain(
    "more than the expected 5",
  );
  expect(await why(store?.write(other, fromBuffer("x"), signal))).toContain(`expected ${other.digest}`);
  expect(await why(read({ ...target, size: 5 }))).toContain("more than the 5 bytes");
  expect(await why(read(other))).toContain("not found");
  expect(await why(offered.store("local:x")?.size(target.digest, signal).then(String))).toBe("");
  expect(readdirSync(join(path, "blobs", "sha256"))).toEqual([target.digest.slice("sha256:".length)]);
  expect(readdirSync(join(path, "ingest"))).toEqual([]);
});

test("an index names a manifest for each tag", () => {
  const cache = new CacheDirectory(join(directory, "indexed"));
  const manifest = (name: string) => ({ mediaType: mediaTypes.manifest, digest: digestOf(name), size: 1 });
  expect(() => cache.find("latest")).toThrow("index.json");
  cache.tag(manifest("a"), "latest");
  expect(cache.find("other")).toBe(digestOf("a"));
  cache.tag(manifest("b"), "main");
  cache.tag(manifest("c"), "latest");
  expect([cache.find("latest"), cache.find("main")]).toEqual([digestOf("c"), digestOf("b")]);
  expect(() => cache.find("other")).toThrow("has no tag other");
  writeFileSync(join(directory, "indexed", "index.json"), "{");
  expect(() => cache.tag(manifest("d"), "latest")).toThrow("index.json");
});

async function* said(bytes: Uint8Array) {
  yield bytes;
  await Bun.sleep(200);
}

test("what is not there is said before anything is built", async () => {
  const failures: [() => unknown, string][] = [
    [() => open(["id=x,src=missing"]), "failed to stat"],
    [() => open([], ["x=missing"]), "does not exist"],
    [() => open([], ["x=file"]), "is no agent's socket"],
    [() => open(["src=x"]), "it has no id"],
    [() => open(["id=x,color=red"]), 'unexpected field "color=red"'],
    [() => open(["id=x,type=vault"]), 'unsupported secret type "vault"'],
    [() => open([], ["x=a,b"]), "name one agent's socket"],
    [() => open([], ["=a"]), "ID[=SOCKET] is expected"],
    [() => open([], [], ["x"]), "NAME=VALUE is expected"],
    [() => open([], [], ["x=missing"]), "is not a directory"],
  ];
  for (const [attempt, message] of failures) await expect((async () => attempt())()).rejects.toThrow(message);
});
