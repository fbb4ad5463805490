import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, randomFillSync } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, dial } from "../support/api.ts";
import { berth, cli, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { tar } from "../support/tar.ts";
import { until } from "../support/until.ts";

let engine: Engine;
const directory = mkdtempSync(join(tmpdir(), "berth-cp-streams-"));
const megabytes = 100;
const big = join(directory, "big");
let digest = "";

beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
  const bytes = randomFillSync(Buffer.alloc(megabytes << 20));
  writeFileSync(big, bytes);
  digest = createHash("sha256").update(bytes).digest("hex");
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const start = (name: string, ...flags: string[]) =>
  engine.ok("run", "-d", "--name", name, ...flags, "busybox", "sleep", "10000");
const hashOf = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const hashIn = async (container: string, path: string) =>
  (await engine.ok("exec", container, "sha256sum", path)).split(" ")[0];

/** Of the daemon, in bytes. */
function memory(): number {
  const status = readFileSync(`/proc/${engine.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

/** The most that the daemon grew while this ran. */
async function growth(body: () => Promise<void>): Promise<number> {
  const before = memory();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, memory());
  }, 50);
  await body().finally(() => clearInterval(timer));
  return most - before;
}

const mountsOf = async (container: string) => {
  const id = await engine.ok("inspect", "-f", "{{.Id}}", container);
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(id));
};

test.each(["docker", "berth"] as const)("100 MB in and out with %s, byte for byte", async (which) => {
  const container = `big-${which}`;
  await start(container);
  const run = async (...argv: string[]) => {
    const { code, stderr } = await cli(which, engine.host, ["cp", ...argv]);
    expect([code, stderr]).toEqual([0, ""]);
  };
  const grown = await growth(async () => {
    await run(big, `${container}:/tmp/big`);
    await run(`${container}:/tmp/big`, `${big}-${which}`);
  });
  expect(await hashIn(container, "/tmp/big")).toBe(digest);
  expect(hashOf(`${big}-${which}`)).toBe(digest);
  expect(grown).toBeLessThan(80 << 20);
});

test("a client that stops reading for five seconds gets everything, and the daemon holds nothing of it", async () => {
  const container = "slow";
  await engine.ok("create", "--name", container, "busybox");
  expect((await engine.docker("cp", big, `${container}:/tmp/big`)).code).toBe(0);
  const socket = await dial(engine);
  const pieces: Uint8Array[] = [];
  const ended = Promise.withResolvers<void>();
  socket.on("end", () => ended.resolve()).on("error", ended.reject);
  const grown = await growth(async () => {
    socket.on("data", (piece: Uint8Array) => {
      if (pieces.push(piece) === 1) socket.pause();
    });
    socket.write(`GET /containers/${container}/archive?path=/tmp/big HTTP/1.0\r\n\r\n`);
    await until("something has come", () => socket.bytesRead > 0);
    const seen = socket.bytesRead;
    await Bun.sleep(5000); // what is tested is that nothing happens meanwhile
    expect(socket.bytesRead - seen).toBeLessThan(8 << 20);
    expect((await mountsOf(container)).length).toBeGreaterThan(0);
    socket.resume();
    await ended.promise;
  });
  const answer = Buffer.concat(pieces);
  const body = answer.subarray(answer.indexOf("\r\n\r\n") + 4);
  const content = body.subarray(512, 512 + (megabytes << 20));
  expect(createHash("sha256").update(content).digest("hex")).toBe(digest);
  expect(body.length).toBe(512 + (megabytes << 20) + 1024);
  expect(grown).toBeLessThan(80 << 20);
  await until("it is not mounted any more", async () => (await mountsOf(container)).length === 0);
});

test("a client that leaves in the middle, either way, leaves no mount, no lock and no half file", async () => {
  const container = "left";
  await engine.ok("create", "--name", container, "busybox", "sleep", "10000");
  const socket = await dial(engine);
  socket.write(
    `PUT /containers/${container}/archive?path=/tmp HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n`,
  );
  socket.write(tar({ name: "half", data: Buffer.alloc(3 << 20), size: 800_000_000 }).subarray(0, 2 << 20));
  await until("it is being written", async () => (await mountsOf(container)).length > 0);
  socket.destroy();
  await until("it is not mounted any more", async () => (await mountsOf(container)).length === 0);
  await engine.ok("cp", "-q", big, `${container}:/tmp/big`);
  const reading = Bun.spawn([berth, "cp", `${container}:/tmp/big`, "-"], {
    stdout: "pipe",
    env: cliEnv(engine.host),
  });
  await reading.stdout.getReader().read();
  reading.kill("SIGKILL");
  await reading.exited;
  await until("it is not mounted any more", async () => (await mountsOf(container)).length === 0);
  await engine.ok("start", container);
  expect(await engine.ok("exec", container, "ls", "/tmp")).toBe("big");
});

test("a daemon that is killed in the middle leaves nothing mounted either", async () => {
  const container = "killed";
  await engine.ok("create", "--name", container, "-v", `${directory}:/bound`, "busybox", "sleep", "10000");
  await engine.ok("cp", "-q", big, `${container}:/tmp/big`);
  const socket = await dial(engine);
  socket.on("error", () => undefined);
  socket.write(`GET /containers/${container}/archive?path=/tmp/big HTTP/1.0\r\n\r\n`);
  socket.once("data", () => socket.pause());
  await until("it is mounted", async () => (await mountsOf(container)).length > 1);
  await engine.stop("SIGKILL");
  await engine.start();
  expect(await mountsOf(container)).toEqual([]);
  expect(hashOf(big)).toBe(digest);
  await engine.ok("start", container);
});

test("a container that exchanges a directory for a symlink in a loop, hundreds of times by HTTP", async () => {
  const outside = join(directory, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "file"), "SECRET of the host");
  const loop = `mkdir /work; cd /work; mkdir dir; echo inside > dir/file; ln -s ${outside} link
    while :; do mv dir aside; mv link dir; mv dir link; mv aside dir; done`;
  await engine.ok("run", "-d", "--name", "swapping", "busybox", "sh", "-c", loop);
  await until("it has begun", async () => (await engine.docker("exec", "swapping", "test", "-d", "/work")).code === 0);
  const statuses = new Set<string>();
  for (let attempt = 0; attempt < 300; attempt++) {
    const path = ["/work/dir/file", "/work/dir/", "/work"][attempt % 3];
    const got = await call(engine, `GET /containers/swapping/archive?path=${path}`).catch(() => undefined);
    expect(got?.text ?? "").not.toContain("SECRET");
    const to = attempt % 2 ? "/work/dir" : "/work";
    const put = await call(
      engine,
      `PUT /containers/swapping/archive?path=${to}`,
      tar({ name: attempt % 2 ? "new" : "link/new", data: "x" }),
    );
    statuses.add(`GET ${got?.status}`).add(`PUT ${put.status}`);
  }
  expect([...statuses]).toContain("GET 200");
  expect([...statuses]).toContain("PUT 200");
  expect(readdirSync(outside)).toEqual(["file"]);
  expect(readFileSync(join(outside, "file"), "utf8")).toBe("SECRET of the host");
}, 120_000);

test("symlinks in the place of what the engine opens for a container lead into the container", async () => {
  const outside = join(directory, "engine");
  mkdirSync(outside);
  writeFileSync(join(outside, "passwd"), "evil:x:4242:4242::/:/bin/sh\n");
  const build = `FROM busybox\nRUN mkdir /old && mv /etc/passwd /old && mkdir -p ${outside} && `;
  const image = async (name: string, line: string) => {
    const made = await call(engine, `POST /build?t=${name}`, tar({ name: "Dockerfile", data: build + line }));
    expect(made.text).toContain("Successfully tagged");
  };
  await image("links", `ln -s ${outside}/passwd /etc/passwd && ln -s ${outside} /target && ln -s ${outside}/wd /wd`);
  expect((await engine.docker("run", "--rm", "-u", "evil", "links", "id")).stderr).toContain("evil");
  await engine.ok("run", "--rm", "-v", "bound:/target/bind", "-w", "/wd", "links", "touch", "here", "/target/bind/x");
  await engine.ok("create", "--name", "linked", "-v", "bound:/target/bind", "links");
  await engine.ok("cp", "-q", "linked:/target/bind/x", join(directory, "x"));
  await engine.ok("run", "--rm", "--volumes-from", "linked", "links", "touch", "/target/bind/y");
  expect(readdirSync(outside)).toEqual(["passwd"]);
});
