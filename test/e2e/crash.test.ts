import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { busyboxRootfs, dockerArchive, gzipLayer, importBusybox } from "../support/images.ts";
import { kernelObjects } from "../support/leaks.ts";
import { freePort, startRegistry } from "../support/registry.ts";
import { tar } from "../support/tar.ts";
import { until } from "../support/until.ts";

const inspect = async (engine: Engine, ref: string) => (await call(engine, `GET /containers/${ref}/json`)).json;
const counting = 'i=0; while :; do i=$((i+1)); echo "$0 $i"; usleep 3000; done';

test("ten containers live through the death of the daemon", async () => {
  await using engine = await startEngine();
  await importBusybox(engine);
  const port = await freePort();
  const names = Array.from({ length: 8 }, (_, index) => `writer${index}`);
  for (const name of names) await engine.ok("run", "-d", "--name", name, "busybox", "sh", "-c", counting, name);
  const serve = "mkdir /www; echo still here > /www/index.html; exec httpd -f -p 80 -h /www";
  await engine.ok("run", "-d", "--name", "web", "-p", `${port}:80`, "busybox", "sh", "-c", serve);
  await engine.ok("run", "-di", "--name", "reader", "busybox", "sh", "-c", 'read x; echo "got $x"; exit 6');
  await engine.ok(
    "run",
    "-d",
    "--name",
    "ends",
    "busybox",
    "sh",
    "-c",
    "while [ ! -e /end ]; do usleep 5000; done; echo bye; exit 7",
  );
  await engine.ok(
    "run",
    "-d",
    "--rm",
    "--name",
    "ends-and-goes",
    "-v",
    "/anonymous",
    "busybox",
    "sh",
    "-c",
    "while [ ! -e /end ]; do usleep 5000; done; exit 8",
  );
  const ten = [...names, "web", "reader"];
  await until("the page is there", async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))?.ok);
  const before = await Promise.all(ten.map((name) => inspect(engine, name)));
  const ending = await Promise.all(["ends", "ends-and-goes"].map((name) => inspect(engine, name)));

  await engine.stop("SIGKILL");
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("still here\n");
  const died = new Date();
  for (const { State } of ending) await Bun.write(`/proc/${State.Pid}/root/end`, "");
  await until("both have ended", () => ending.every(({ State }) => !isAlive(State.Pid)));
  const ended = new Date();
  await engine.start();

  const after = await Promise.all(ten.map((name) => inspect(engine, name)));
  expect(after.map(({ Id, State }) => [Id, State.Pid, State.Status, State.StartedAt])).toEqual(
    before.map(({ Id, State }) => [Id, State.Pid, "running", State.StartedAt]),
  );
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("still here\n");
  expect(await engine.ok("port", "web")).toContain(`80/tcp -> 0.0.0.0:${port}`);

  const { State } = await until("its end is known", async () => {
    const found = await inspect(engine, "ends");
    return found.State.Status === "exited" && found;
  });
  expect(State.ExitCode).toBe(7);
  expect(new Date(State.FinishedAt).getTime()).toBeGreaterThanOrEqual(died.getTime() - 1000);
  expect(new Date(State.FinishedAt).getTime()).toBeLessThanOrEqual(ended.getTime() + 1000);
  expect(await engine.ok("logs", "ends")).toBe("bye");
  expect(await engine.ok("wait", "ends")).toBe("7");
  await until(
    "--rm has removed it",
    async () => (await call(engine, "GET /containers/ends-and-goes/json")).status === 404,
  );
  expect(await engine.ok("volume", "ls", "-q")).toBe("");

  expect(await engine.ok("exec", "writer0", "echo", "exec works")).toBe("exec works");
  const attached = cli("docker", engine.host, ["attach", "reader"], { stdin: "hello\n" });
  expect(await attached).toMatchObject({ stdout: "got hello\n", code: 6 });

  await engine.ok("stop", "-t", "0", ...names);
  for (const name of names) {
    const lines = (await engine.ok("logs", name)).split("\n");
    expect(lines.length).toBeGreaterThan(10);
    expect(lines).toEqual(lines.map((_, index) => `${name} ${index + 1}`));
    expect((await inspect(engine, name)).State.ExitCode).toBe(137);
  }
  await engine.ok("start", "writer0");
  await engine.ok("restart", "-t", "0", "web");
  await until(
    "the page is there again",
    async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))?.ok,
  );
});

test("logs -f that the death of the daemon cut off goes on where it was", async () => {
  await using engine = await startEngine();
  await importBusybox(engine);
  await engine.ok("run", "-d", "--name", "writer", "busybox", "sh", "-c", counting, "line");
  await engine.stop("SIGKILL");
  await engine.start();
  const seen = cli("docker", engine.host, ["logs", "-f", "writer"]);
  await until("it goes on writing", async () => (await engine.ok("logs", "writer")).split("\n").length > 100);
  await engine.ok("rm", "-f", "writer");
  const lines = (await seen).stdout.trim().split("\n");
  expect(lines).toEqual(lines.map((_, index) => `line ${index + 1}`));
});

test("a daemon that dies in the middle of its work leaves nothing half-made", async () => {
  await using registry = await startRegistry();
  await using engine = await startEngine(["--insecure-registry", registry.host]);
  await importBusybox(engine);
  const remote = `${registry.host}/some/image:1`;
  await prepare(engine, remote);
  await engine.ok("system", "prune", "-f");
  await engine.stop();
  await engine.start();
  const clean = await leftovers(engine);
  const random = pseudoRandom(20240607);
  for (let round = 0; round < 12; round++) {
    const work = busy(engine, remote);
    await Bun.sleep(random() * 600);
    await engine.stop("SIGKILL");
    await work;
    await engine.start();
    await consistent(engine);
  }
  await Promise.all((await allIds(engine)).map((id) => engine.docker("rm", "-f", "-v", id)));
  await succeed(engine, remote);
  await removeAll(engine, remote);
  // What only a start sweeps away has its chance; nothing else may be left.
  await engine.stop();
  await engine.start();
  expect(await leftovers(engine)).toEqual(clean);
}, 240_000);

const archive = dockerArchive("loaded:1", [
  gzipLayer(busyboxRootfs()),
  gzipLayer(tar(...Array.from({ length: 300 }, (_, index) => ({ name: `f${index}`, data: "x".repeat(20_000) })))),
]);
const commands = (engine: Engine, remote: string): (() => Promise<unknown>)[] => [
  ...Array.from({ length: 4 }, () => () => engine.docker("run", "--rm", "-p", "80", "-v", "/v", "busybox", "true")),
  ...Array.from(
    { length: 3 },
    () => () => engine.docker("run", "-d", "--network", "none", "busybox", "sleep", "100000"),
  ),
  () => engine.docker("run", "-d", "-p", "80", "busybox", "sleep", "100000"),
  () => engine.docker("build", "--no-cache", "-t", "built:1", `${engine.directory}/ctx`),
  () => engine.docker("pull", remote),
  () => cli("docker", engine.host, ["load"], { stdin: archive }),
  () => engine.docker("volume", "create", "named"),
  () => engine.docker("network", "create", "net"),
  async () => engine.docker("rm", "-f", "-v", ...(await allIds(engine))),
];

async function prepare(engine: Engine, remote: string): Promise<void> {
  mkdirSync(`${engine.directory}/ctx`);
  await Bun.write(
    `${engine.directory}/ctx/Dockerfile`,
    "FROM busybox\nRUN seq 1000 > /a\nCOPY Dockerfile /b\nRUN echo end\n",
  );
  await cli("docker", engine.host, ["load"], { stdin: archive });
  await engine.ok("tag", "loaded:1", remote);
  await engine.ok("push", remote);
  await engine.ok("rmi", remote, "loaded:1");
}

/** Everything at once, again and again until the daemon is gone. */
function busy(engine: Engine, remote: string): Promise<unknown> {
  return Promise.all(
    commands(engine, remote).map(async (command) => {
      while (await call(engine, "GET /_ping").catch(() => undefined)) {
        await command();
        await engine.docker("rmi", "-f", "loaded:1", remote, "built:1");
      }
    }),
  );
}

/** The operations that were cut off succeed afterwards. */
async function succeed(engine: Engine, remote: string): Promise<void> {
  expect(await engine.ok("run", "--rm", "-p", "80", "-v", "/v", "busybox", "echo", "ran")).toBe("ran");
  await engine.ok("build", "--no-cache", "-t", "built:1", `${engine.directory}/ctx`);
  await engine.ok("pull", remote);
  expect((await cli("docker", engine.host, ["load"], { stdin: archive })).code).toBe(0);
  for (const image of ["built:1", "loaded:1", remote]) {
    expect(await engine.ok("run", "--rm", image, "echo", "ran")).toBe("ran");
  }
}

async function removeAll(engine: Engine, remote: string): Promise<void> {
  await engine.ok("rmi", "-f", "built:1", "loaded:1", remote);
  await engine.docker("volume", "rm", "-f", "named");
  await engine.docker("network", "rm", "-f", "net");
  await engine.ok("system", "prune", "-a", "-f", "--volumes");
  await engine.docker("builder", "prune", "-a", "-f");
  await importBusybox(engine);
}

/** Every container is in a state that it can stay in, and what the kernel has belongs to a container that runs. */
async function consistent(engine: Engine): Promise<void> {
  const all = (await call(engine, "GET /containers/json?all=1")).json as { Id: string; State: string }[];
  for (const { State } of all) expect(["created", "running", "exited"]).toContain(State);
  const running = new Set(all.filter(({ State }) => State === "running").map(({ Id }) => Id));
  for (const { Id, State } of all) {
    const { Pid } = (await inspect(engine, Id)).State;
    expect(State === "running" ? isAlive(Pid) : Pid === 0).toBe(true);
  }
  await until("no container but those that run has anything in the kernel", () => {
    const held = mountsBelow(`${engine.directory}/exec`).map((path) => /[0-9a-f]{64}/.exec(path)?.[0]);
    return held.every((id) => id === undefined || running.has(id));
  });
}

/** What must be the same whenever the engine holds the same. */
async function leftovers(engine: Engine) {
  const directory = engine.directory;
  return {
    mounts: mountsBelow(directory).sort(),
    ...(await kernelObjects(await engine.tag())),
    containers: names(`${directory}/data/containers`),
    volumes: names(`${directory}/data/volumes`),
    snapshots: names(`${directory}/data/snapshots/s`).length,
    bundles: names(`${directory}/exec/bundles`),
    rootfs: names(`${directory}/exec/rootfs`),
    netns: names(`${directory}/exec/netns`),
  };
}

function names(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return []; // not made yet
  }
}

function mountsBelow(directory: string): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.map((line) => line.split(" ")[4] ?? "").filter((path) => path.startsWith(directory));
}

async function allIds(engine: Engine): Promise<string[]> {
  const { stdout } = await engine.docker("ps", "-aq");
  return stdout.split("\n").filter((id) => id !== "");
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** The same instants in every run, so that a failure can be looked for (xorshift32). */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
