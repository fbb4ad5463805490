import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call } from "../support/api.ts";
import {
  type Case,
  containerDestinations,
  containerFiles,
  into,
  listing,
  localDestinations,
  localFiles,
  outOf,
} from "../support/cp-cases.ts";
import { cli, type Engine, isOld, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { tar } from "../support/tar.ts";
import { onTerminal } from "../support/terminal.ts";

let engine: Engine;
const directory = mkdtempSync(join(tmpdir(), "berth-cp-"));
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const both = ["docker", "berth"] as const;
const golden = (name: string) => readFileSync(new URL(`../support/${name}.golden`, import.meta.url), "utf8").trim();
const start = (name: string, ...flags: string[]) =>
  engine.ok("run", "-d", "--name", name, ...flags, "busybox", "sleep", "10000");

function local(name: string, script: string): string {
  const path = join(directory, name);
  mkdirSync(path);
  expect(Bun.spawnSync(["sh", "-c", script], { cwd: path }).exitCode).toBe(0);
  return path;
}

/** Every case in turn, each told as it was recorded. */
async function follow(which: "docker" | "berth", cases: readonly Case[], at: { container: string; cwd: string }) {
  for (const [args, status, told = ""] of cases) {
    // The CLI 20 is never quiet, and does the same.
    const known = isOld(which) ? args.replace(/^-q /, "") : args;
    const argv = known.split(" ").map((word) => word.replace(/^C:/, `${at.container}:`));
    const { code, stderr } = await cli(which, engine.host, ["cp", ...argv], { cwd: at.cwd, stdin: "" });
    // What docker's packer says when nobody reads what it packs; and what the CLI 20 says of what is not there.
    const said = stderr
      .replace(/^.*level=error.*\n/gm, "")
      .replaceAll(at.container, "C")
      .replace(/No such container:path: (nocontainer):\S+/, "No such container: $1")
      .replace(/No such container:path: C:(\S+)/, "Could not find the file $1 in container C");
    expect([args, code, told === "" ? said : said.includes(told) ? told : said]).toEqual([args, status, told]);
  }
}

test.each(both)("the rules of copying into a container (%s)", async (which) => {
  const container = `into-${which}`;
  await start(container);
  await engine.ok("exec", container, "sh", "-c", containerDestinations);
  await follow(which, into, { container, cwd: local(container, localFiles) });
  const found = await engine.ok("exec", "-w", "/w", container, "sh", "-c", listing);
  expect(found).toBe(golden("cp-into"));
  expect(await engine.ok("exec", container, "stat", "-c", "%u:%g", "/w/new", "/w/nd/g")).toBe("1234:1235\n0:0");
});

test.each(both)("the rules of copying out of a container (%s)", async (which) => {
  const container = `out-${which}`;
  await start(container);
  await engine.ok("exec", container, "sh", "-c", containerFiles);
  const cwd = local(container, localDestinations);
  await follow(which, outOf, { container, cwd });
  const found = Bun.spawnSync(["sh", "-c", listing], { cwd }).stdout.toString().trim();
  expect(found).toBe(golden("cp-out"));
  expect(readFileSync(join(cwd, "ef"), "utf8")).toBe("f\n");
});

test.each(both)("archives by standard input and output (%s)", async (which) => {
  const container = `streams-${which}`;
  await engine.ok("create", "--name", container, "busybox");
  const sent = tar({ name: "d/", type: "directory", mode: 0o750 }, { name: "d/f", data: "sent", uid: 7, gid: 8 });
  const put = Bun.spawnSync([which === "berth" ? "dist/berth" : "docker", "cp", "-", `${container}:/tmp`], {
    stdin: sent,
    env: { ...process.env, DOCKER_HOST: engine.host, BERTH_HOST: engine.host },
  });
  expect([put.exitCode, String(put.stderr)]).toEqual([0, ""]);
  const get = Bun.spawnSync(
    ["sh", "-c", `${which === "berth" ? "dist/berth" : "docker"} cp ${container}:/tmp/d - | tar -tv --numeric-owner`],
    { env: { ...process.env, DOCKER_HOST: engine.host, BERTH_HOST: engine.host } },
  );
  expect(String(get.stdout).replace(/ +\d+ \d{4}-.*:\d\d /g, " ")).toBe("drwxr-x--- 0/0 d/\n-rw-r--r-- 7/8 d/f\n");
  const bad = await cli(which, engine.host, ["cp", "-", `${container}:/tmp`], { stdin: "x".repeat(1000) });
  expect([bad.code, bad.stderr]).toEqual([1, expect.stringContaining("Error response from daemon: Bad tar archive")]);
});

test.skipIf(isOld("docker"))("a terminal is told what was copied (docker)", () => toldOnTerminal("docker"));
test("a terminal is told what was copied (berth)", () => toldOnTerminal("berth"));

async function toldOnTerminal(which: "docker" | "berth"): Promise<void> {
  const container = `told-${which}`;
  await start(container);
  const path = join(directory, `told-${which}`);
  writeFileSync(path, "text");
  await using put = onTerminal(which, engine.host, ["cp", path, `${container}:/tmp/there`]);
  await put.shows(`Successfully copied 2.05kB to ${container}:/tmp/there`);
  expect(await put.exited).toBe(0);
  await using get = onTerminal(which, engine.host, ["cp", `${container}:/tmp/there`, `${path}-back`]);
  await get.shows(`Successfully copied 2.05kB to ${path}-back`);
  expect(await get.exited).toBe(0);
  await using quiet = onTerminal(which, engine.host, ["cp", "-q", path, `${container}:/tmp/there`]);
  expect([await quiet.exited, quiet.text]).toEqual([0, ""]);
}

test("the API's answers: status, header, parameters", async () => {
  await start("api", "-v", "api-volume:/ro:ro", "--read-only");
  const ask = (request: string, body?: Uint8Array) => call(engine, request, body);
  const head = await ask("HEAD /containers/api/archive?path=/etc/passwd");
  const stat = JSON.parse(Buffer.from(head.headers.get("x-docker-container-path-stat") ?? "", "base64").toString());
  expect([head.status, head.text, stat]).toEqual([
    200,
    "",
    { name: "passwd", size: 74, mode: 0o644, mtime: "2001-09-09T01:46:40Z", linkTarget: "" },
  ]);
  const get = await ask("GET /v1.24/containers/api/archive?path=etc/passwd");
  expect([get.status, get.headers.get("content-type")]).toEqual([200, "application/x-tar"]);
  expect(get.headers.get("x-docker-container-path-stat")).toBe(head.headers.get("x-docker-container-path-stat"));
  expect(get.text).toContain("alice:x:1000:1000");
  for (const [request, status, message] of [
    ["GET /containers/api/archive", 400, "bad parameter: path cannot be empty"],
    ["GET /containers/api/archive?path=/none", 404, "Could not find the file /none in container api"],
    ["GET /containers/api/archive?path=/etc/passwd/x", 400, "lstat /etc/passwd/x: not a directory"],
    ["GET /containers/none/archive?path=/", 404, "No such container: none"],
    ["PUT /containers/api/archive?path=/tmp", 403, "container rootfs is marked read-only"],
    ["PUT /containers/api/archive?path=/ro", 403, "mounted volume is marked read-only"],
    ["PUT /containers/api/archive?path=/etc/passwd", 400, "extraction point is not a directory"],
  ] as const) {
    const answer = await ask(request, request.startsWith("PUT") ? tar({ name: "x" }) : undefined);
    expect([request, answer.status, answer.json.message]).toEqual([request, status, message]);
  }
  expect((await ask("HEAD /containers/api/archive?path=/none")).status).toBe(404);
  await start("plain");
  const put = await ask(
    "PUT /containers/plain/archive?path=/tmp&noOverwriteDirNonDir=1",
    tar({ name: "x", data: "1" }),
  );
  expect([put.status, put.text]).toEqual([200, ""]);
  const { text: events } = await call(engine, `GET /events?since=0&until=${Math.ceil(Date.now() / 1000)}`);
  expect(events).toContain("archive-path");
  expect(events).toContain("extract-to-dir");
});

test("the SDK for Python", async () => {
  await start("sdk");
  const script = `
import docker, io, tarfile
c = docker.DockerClient(base_url=${JSON.stringify(engine.host)}, version="auto").containers.get("sdk")
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w:gz") as t:
    info = tarfile.TarInfo("grüße"); info.size = 5; info.uid = 9
    t.addfile(info, io.BytesIO(b"hello"))
print(c.put_archive("/tmp", out.getvalue()))
bits, stat = c.get_archive("/tmp/grüße", chunk_size=100)
t = tarfile.open(fileobj=io.BytesIO(b"".join(bits)))
print(stat["name"], stat["size"], t.getmembers()[0].uid, t.extractfile("grüße").read().decode())
try: c.get_archive("/none")
except docker.errors.NotFound as e: print(e.explanation.split(" in ")[0])`;
  const ran = Bun.spawnSync(["/usr/bin/python3", "-c", script], { env: { ...process.env, PYTHONIOENCODING: "utf8" } });
  expect(String(ran.stdout) + String(ran.stderr)).toBe("True\ngrüße 5 9 hello\nCould not find the file /none\n");
});

test("commit says who, why and what in docker's words", async () => {
  await start("committed");
  await engine.ok("exec", "committed", "touch", "/made");
  const id = await engine.ok("commit", "-a", "Me <me@here>", "-m", "why", "-c", "USER alice", "-p=false", "committed");
  const inspect = (format: string) => engine.ok("image", "inspect", "-f", format, id);
  expect(await inspect("{{.Author}}|{{.Comment}}|{{.Config.User}}")).toBe("Me <me@here>|why|alice");
  expect(await engine.ok("history", "--format", "{{.CreatedBy}}|{{.Comment}}", id)).toStartWith("sleep 10000|why");
});
