import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { type Entry, tar } from "../support/tar.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const volume = (...argv: string[]) => engine.berth("volume", ...argv);
const ok = async (...argv: string[]) => {
  const { code, stdout, stderr } = await volume(...argv);
  if (code !== 0) throw new Error(`volume ${argv.join(" ")}: ${stderr}`);
  return stdout.trim();
};
const sh = (script: string, ...flags: string[]) => engine.ok("run", "--rm", ...flags, "busybox", "sh", "-c", script);
const dataOf = (name: string) => `${engine.directory}/data/volumes/${name}/_data`;
const tree =
  "mkdir -p /v/d; echo one > /v/one; ln /v/one /v/same; ln -s one /v/link; mkfifo /v/d/pipe; chown -R 7:8 /v/d; chmod 4750 /v/one; chmod 700 /v; touch /v/.wh.kept";
const look = "cd /v; stat -c '%n %F %a %u %g %h' . one same d d/pipe .wh.kept; readlink link";

test("rename: containers follow, and none may run", async () => {
  const id = await engine.ok("run", "-d", "-v", "old:/v", "busybox", "sh", "-c", "echo x >> /v/f; sleep 1000");
  const inUse = await volume("rename", "old", "new");
  expect([inUse.code, inUse.stderr]).toEqual([
    1,
    expect.stringContaining(`rename old: volume is in use by running containers - [${id}]`),
  ]);
  await engine.ok("stop", "-t", "0", id);
  expect(await ok("rename", "old", "new")).toBe("new");
  const told = JSON.parse(await engine.ok("inspect", id))[0];
  expect(told.Mounts[0]).toMatchObject({ Type: "volume", Name: "new", Source: dataOf("new") });
  expect(told.HostConfig.Binds).toEqual(["new:/v"]);
  await engine.stop("SIGKILL");
  await engine.start();
  await engine.ok("start", id);
  expect(await sh("cat /w/f", "-v", "new:/w")).toBe("x\nx");
  expect((await volume("inspect", "old")).stderr).toContain("get old: no such volume");
  expect((await volume("rm", "new")).stderr).toContain(`volume is in use - [${id}]`);
  await engine.ok("rm", "-f", id);
  await ok("create", "other");
  expect((await volume("rename", "new", "other")).stderr).toContain("a volume named other exists already");
  expect((await volume("rename", "nope", "x1")).stderr).toContain("get nope: no such volume");
  expect((await volume("rename", "new", "a/b")).stderr).toContain("includes invalid characters");
  await ok("rm", "new", "other");
});

test.each([[], ["--zstd"]])("export %p and import: everything comes back", async (...flags) => {
  await sh(tree, "-v", "src:/v");
  const file = `${engine.directory}/src.tar`;
  await ok("export", ...flags, "-o", file, "src");
  expect(await ok("import", "dst", file)).toBe("dst");
  expect(await sh(look, "-v", "dst:/v")).toBe(await sh(look, "-v", "src:/v"));
  const again = await volume("import", "dst", file);
  expect([again.code, again.stderr]).toEqual([
    1,
    expect.stringContaining("import dst: volume is not empty; use --force"),
  ]);
  writeFileSync(`${dataOf("dst")}/extra`, "");
  await ok("import", "--force", "dst", file);
  expect(existsSync(`${dataOf("dst")}/extra`)).toBe(false);
  await ok("rm", "src", "dst");
});

test("export to a pipe, import from one", async () => {
  await sh("echo piped > /v/f", "-v", "src:/v");
  const archive = (await call(engine, "GET /volumes/src/export")).text;
  expect((await volume("export", "src")).stdout).toBe(archive);
  const { code } = await cli("berth", engine.host, ["volume", "import", "dst"], { stdin: archive });
  expect(code).toBe(0);
  expect(readFileSync(`${dataOf("dst")}/f`, "utf8")).toBe("piped\n");
  await ok("rm", "src", "dst");
});

test("a hostile archive writes nothing outside, a broken one nothing at all", async () => {
  const hostile: readonly (readonly Entry[])[] = [
    [{ name: "../out", data: "x" }],
    [
      { name: "link", type: "symlink", link: engine.directory },
      { name: "link/out", data: "x" },
    ],
    [{ name: "hard", type: "hardlink", link: `../../../../../../..${engine.directory}/berth.sock` }],
  ];
  for (const entries of hostile) {
    await call(engine, "POST /volumes/hostile/import?force=1", tar(...entries));
    expect(existsSync(`${engine.directory}/out`)).toBe(false);
    expect(existsSync(`${engine.directory}/data/volumes/out`)).toBe(false);
    expect(existsSync(`${dataOf("hostile")}/hard`)).toBe(false);
  }
  await ok("rm", "-f", "hostile");
  const whole = tar({ name: "f", data: "x".repeat(5000) });
  for (const broken of [new TextEncoder().encode("no archive at all".repeat(100)), whole.slice(0, 3000)]) {
    const answer = await call(engine, "POST /volumes/broken/import", broken);
    expect(answer.status).toBe(400);
  }
  expect(await ok("ls", "-q")).toBe("");
  expect(readdirSync(`${engine.directory}/data/volumes`)).toEqual([]);
});

test("clone: the same files, in a volume of its own", async () => {
  await sh(`${tree}; dd if=/dev/zero of=/v/sparse bs=1 count=1 seek=50000000 2>/dev/null`, "-v", "src:/v");
  expect(await ok("clone", "--label", "a=b", "src", "dst")).toBe("dst");
  expect(await sh(look, "-v", "dst:/v")).toBe(await sh(look, "-v", "src:/v"));
  expect(statSync(`${dataOf("dst")}/sparse`).blocks * 512).toBeLessThan(1 << 20);
  expect(JSON.parse(await ok("inspect", "dst"))[0].Labels).toEqual({ a: "b" });
  expect((await volume("clone", "src", "dst")).stderr).toContain("create dst: conflict: volume name must be unique");
  expect((await volume("clone", "nope", "dst2")).stderr).toContain("get nope: no such volume");
  await ok("rm", "src", "dst");
});

test("the API tells what is wrong by status", async () => {
  await ok("create", "there");
  const status = async (request: string, body?: unknown) => (await call(engine, request, body)).status;
  expect(await status("POST /volumes/there/rename")).toBe(400);
  expect(await status("POST /volumes/there/rename?name=there")).toBe(409);
  expect(await status("POST /volumes/nope/rename?name=there2")).toBe(404);
  expect(await status("GET /volumes/nope/export")).toBe(404);
  expect(await status("GET /volumes/there/export?compression=lzma")).toBe(400);
  expect(await status("POST /volumes/nope/clone", { Name: "x1" })).toBe(404);
  expect(await status("POST /volumes/there/clone", { Name: "there" })).toBe(409);
  expect(await status("POST /volumes/there/clone", { Name: "x/1" })).toBe(400);
  await ok("rm", "there");
});

test("a daemon that dies in the middle of an import or a clone leaves no half of a volume", async () => {
  await sh("dd if=/dev/zero of=/v/big bs=1M count=64 2>/dev/null; echo kept > /v/f", "-v", "src:/v");
  const sending = Promise.withResolvers<void>();
  const endless = new ReadableStream({
    pull(controller) {
      controller.enqueue(tar({ name: `f${Math.random()}`, data: "x".repeat(100_000) }).slice(0, 101_888));
      sending.resolve();
    },
  });
  const unix = engine.host.replace("unix://", "");
  const begun = [
    fetch("http://berth/volumes/half/import", { method: "POST", unix, body: endless }).catch(() => undefined),
    fetch("http://berth/volumes/src/import?force=1", { method: "POST", unix, body: endless }).catch(() => undefined),
  ];
  await sending.promise;
  const cloning = volume("clone", "src", "copy");
  await engine.stop("SIGKILL");
  await Promise.all([...begun, cloning]);
  await engine.start();
  const left = (await ok("ls", "-q")).split("\n");
  expect(left.filter((name) => name !== "copy")).toEqual(["src"]);
  if (left.includes("copy")) expect(readFileSync(`${dataOf("copy")}/f`, "utf8")).toBe("kept\n");
  expect(readdirSync(`${engine.directory}/data/volumes`).sort()).toEqual(left.sort());
  expect(readdirSync(`${engine.directory}/data/volumes/src`)).toEqual(["_data"]);
  expect(readFileSync(`${dataOf("src")}/f`, "utf8")).toBe("kept\n");
  await ok("rm", ...left);
});
