import { afterAll, beforeAll, expect, test } from "bun:test";
import { call, dial } from "../support/api.ts";
import { berth, cli, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { patience, until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const seconds = () => Date.now() / 1000;

async function actions(since: number, ...flags: string[]): Promise<string[]> {
  const window = ["--since", since.toFixed(3), "--until", (seconds() + 0.001).toFixed(3)];
  return (await engine.ok("events", ...window, "--format", "{{.Type}} {{.Action}}", ...flags)).split("\n");
}

test("the life of a container, in order", async () => {
  const since = seconds();
  await engine.ok("run", "--rm", "--name", "told", "busybox", "true");
  await until("all has been told", async () => (await actions(since)).includes("container destroy"));
  expect(await actions(since)).toEqual([
    "container create",
    "container attach",
    "network connect",
    "container start",
    "container die",
    "network disconnect",
    "container destroy",
  ]);
});

test("filters", async () => {
  const since = seconds();
  const id = await engine.ok("run", "-d", "--label", "a=b", "busybox", "sh", "-c", "exit 3");
  await engine.ok("wait", id);
  await engine.ok("volume", "create", "told");
  await engine.ok("tag", "busybox", "told:1");
  await until("the end is told", async () => (await actions(since, "--filter", "event=die")).includes("container die"));
  expect(await actions(since, "--filter", "event=die", "--filter", `container=${id}`)).toEqual(["container die"]);
  expect(await actions(since, "--filter", "label=a=b", "--filter", "event=create")).toEqual(["container create"]);
  expect(await actions(since, "--filter", "type=volume")).toEqual(["volume create"]);
  expect(await actions(since, "--filter", "type=image")).toEqual(["image tag"]);
  const window = ["--since", since.toFixed(3), "--until", seconds().toFixed(3)];
  const die = JSON.parse(await engine.ok("events", ...window, "--filter", "event=die", "--format", "{{json .}}"));
  expect(die.Actor).toMatchObject({ ID: id, Attributes: { exitCode: "3", image: "busybox", a: "b" } });
  await engine.ok("rm", id);
  await engine.ok("volume", "rm", "told");
  await engine.ok("rmi", "told:1");
});

test.each(["docker", "berth"] as const)("%s events follows what happens", async (which) => {
  const child = Bun.spawn([which === "berth" ? berth : "docker", "events", "--filter", "type=volume"], {
    env: cliEnv(engine.host),
    stdout: "pipe",
    timeout: 30_000 * patience,
  });
  // It is told of one only once it listens.
  const listening = setInterval(() => void cli("docker", engine.host, ["volume", "create", `now-${which}`]), 100);
  let text = "";
  for await (const chunk of child.stdout) {
    text += Buffer.from(chunk).toString();
    if (text.includes("volume create")) break;
    await cli("docker", engine.host, ["volume", "rm", `now-${which}`]);
  }
  clearInterval(listening);
  child.kill();
  await child.exited;
  expect(text).toMatch(new RegExp(`volume create now-${which} \\(driver=local\\)`));
});

test("events outlive the daemon", async () => {
  const since = seconds();
  await engine.ok("volume", "create", "remembered");
  await engine.stop("SIGKILL");
  await engine.start();
  expect(await actions(since, "--filter", "type=volume")).toEqual(["volume create"]);
});

/** What happened to one object since then, with the attributes that are not the object's own. */
async function told(since: number, ...flags: string[]): Promise<[string, Record<string, string>][]> {
  const window = ["--since", since.toFixed(3), "--until", (seconds() + 0.001).toFixed(3)];
  const lines = await engine.ok("events", ...window, "--format", "{{json .}}", ...flags);
  return lines
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .map(({ Action, Actor }) => [Action, Actor.Attributes]);
}

test("everything that is done with a container, with Docker's attributes", async () => {
  const since = seconds();
  const id = await engine.ok("run", "-d", "--name", "acted", "--label", "own=1", "busybox", "sleep", "1000");
  await engine.ok("exec", "acted", "true");
  await engine.ok("top", "acted");
  await engine.ok("rename", "acted", "renamed");
  await engine.ok("update", "--memory", "64m", "--memory-swap", "64m", "renamed");
  await engine.ok("pause", "renamed");
  await engine.ok("unpause", "renamed");
  await engine.ok("export", "-o", `${engine.directory}/export.tar`, "renamed");
  await engine.ok("commit", "-m", "why", "renamed", "committed:1");
  await engine.ok("kill", "-s", "USR1", "renamed").catch(() => undefined);
  await engine.ok("restart", "-t", "0", "renamed");
  await engine.ok("stop", "-t", "0", "renamed");
  await engine.ok("rm", "renamed");
  const all = await told(since, "--filter", `container=${id}`);
  expect(all.map(([action]) => action).filter((action) => !["kill", "die"].includes(action))).toEqual([
    ...["create", "start", "exec_create: true ", "exec_start: true ", "exec_die", "top", "rename", "update", "pause"],
    ...["unpause", "export", "commit", "stop", "start", "restart", "stop", "destroy"],
  ]);
  const of = (action: string) => all.find(([one]) => one === action)?.[1];
  expect(of("create")).toEqual({ image: "busybox", name: "acted", own: "1" });
  expect(of("rename")).toMatchObject({ name: "renamed", oldName: "/acted" });
  expect(of("exec_die")).toMatchObject({ exitCode: "0", execID: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(of("commit")).toMatchObject({ comment: "why", imageID: expect.stringMatching(/^sha256:/) });
  expect(of("kill")).toMatchObject({ signal: "10" });
  expect(of("die")).toMatchObject({ exitCode: expect.stringMatching(/^\d+$/) });
  await engine.ok("rmi", "committed:1");
});

test("volumes that a container uses", async () => {
  const since = seconds();
  const id = await engine.ok("run", "-d", "-v", "used:/v:ro", "busybox", "true");
  await engine.ok("wait", id);
  await engine.ok("rm", id);
  await engine.ok("volume", "rm", "used");
  expect(await told(since, "--filter", "volume=used")).toEqual([
    ["create", { driver: "local" }],
    ["mount", { container: id, destination: "/v", driver: "local", propagation: "", "read/write": "false" }],
    ["unmount", { container: id, driver: "local" }],
    ["destroy", { driver: "local" }],
  ]);
});

test("networks, images, and everything that is pruned", async () => {
  await engine.ok("volume", "prune", "-af");
  const since = seconds();
  await engine.ok("network", "create", "told");
  const archive = `${engine.directory}/saved.tar`;
  await engine.ok("save", "-o", archive, "busybox");
  await engine.ok("load", "-i", archive);
  const dockerfile = `${engine.directory}/context`;
  await Bun.write(`${dockerfile}/Dockerfile`, "FROM busybox\nLABEL built=1\n");
  await engine.ok("build", "-t", "built:1", dockerfile);
  await engine.ok("rmi", "built:1");
  await engine.ok("network", "prune", "-f");
  await engine.ok("volume", "prune", "-f");
  await engine.ok("container", "prune", "-f");
  await engine.ok("image", "prune", "-f");
  await engine.ok("builder", "prune", "-f");
  expect(await actions(since)).toEqual([
    ...["network create", "image save", "image load", "image create", "image tag", "image untag", "image delete"],
    ...["network destroy", "network prune", "volume prune", "container prune", "image prune", "builder prune"],
  ]);
  const pruned = await told(since, "--filter", "event=prune");
  for (const [, attributes] of pruned) expect(Object.keys(attributes)).toEqual(["reclaimed"]);
});

test.each([
  ["nope=x", "invalid filter 'nope'"],
  ["pid=1", "invalid filter 'pid'"],
])("a filter that Docker does not have is refused: %s", async (filter, message) => {
  for (const which of ["docker", "berth"] as const) {
    const { code, stderr } = await engine[which]("events", "--until", "1", "--filter", filter);
    expect([code, stderr]).toEqual([1, `Error response from daemon: ${message}\n`]);
  }
});

test("filters for what only a swarm has match nothing", async () => {
  for (const key of ["node", "service", "secret", "config", "plugin", "scope"])
    expect(await actions(0, "--filter", `${key}=busybox`)).toEqual([""]);
});

test("instants in every form that Docker takes", async () => {
  const from = new Date(Date.now() - 1);
  await engine.ok("volume", "create", "timed");
  const after = new Date(Date.now() + 1);
  const forms = [
    [from.toISOString(), after.toISOString()],
    [new Date(from.getTime() + 7200_000).toISOString().replace("Z", "+02:00"), after.toISOString()],
    [`${from.getTime() / 1000}`, `${after.getTime() / 1000}`],
    ["10m", "0s"],
  ] as const;
  for (const [since, until] of forms) {
    const window = `since=${encodeURIComponent(since)}&until=${encodeURIComponent(until)}`;
    const { status, text } = await call(
      engine,
      `GET /events?${window}&filters=${encodeURIComponent('{"volume":["timed"]}')}`,
    );
    expect([since, status, text.trim().split("\n")]).toEqual([
      since,
      200,
      [expect.stringContaining('"Action":"create"')],
    ]);
  }
  for (const wrong of ["since=yesterday", "until=1.2.3", "since=5&until=1", "since=1h30"])
    expect([wrong, (await call(engine, `GET /events?${wrong}`)).status]).toEqual([wrong, 400]);
  await engine.ok("volume", "rm", "timed");
});

test("berth events as JSON and by a template", async () => {
  const since = seconds();
  await engine.ok("volume", "create", "shown");
  const window = ["--since", since.toFixed(3), "--until", (seconds() + 0.001).toFixed(3), "--filter", "volume=shown"];
  const { stdout } = await engine.berth("events", ...window, "--format", "json");
  expect(JSON.parse(stdout)).toMatchObject({ Type: "volume", Action: "create", Actor: { ID: "shown" } });
  const template = await engine.berth(
    "events",
    ...window,
    "--format",
    "{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.driver}}",
  );
  expect(template.stdout).toBe("create shown local\n");
  await engine.ok("volume", "rm", "shown");
});

test("a reader that stops for a while finds everything when it goes on; one that stops for good costs nothing", async () => {
  const socket = await dial(engine);
  await dial(engine).then((dead) => dead.pause().write("GET /events HTTP/1.1\r\nHost: x\r\n\r\n"));
  let text = "";
  socket.on("data", (chunk) => (text += chunk.toString()));
  socket.write(`GET /events?filters=${encodeURIComponent('{"event":["rename"]}')} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await until("it listens", () => text.includes("\r\n\r\n"));
  socket.pause();
  const id = await engine.ok("create", "--label", `big=${"x".repeat(4000)}`, "busybox", "true");
  const count = 3000;
  const lane = async (from: number) => {
    for (let at = from; at < count; at += 8) await call(engine, `POST /containers/${id}/rename?name=name-${at}`);
  };
  for (let at = 0; at < 8; at++) await lane(at);
  socket.resume();
  const seen = () => [...text.matchAll(/"name":"name-(\d+)"/g)].map(([, at]) => Number(at));
  await until("all of them", () => seen().length >= count);
  expect(new Set(seen()).size).toBe(count);
  socket.destroy();
  await engine.ok("rm", id);
});

test("terminals: attach, resize, and the keys that detach, where it is the engine that sees them", async () => {
  const since = seconds();
  const id = await engine.ok("run", "-dit", "--name", "tty", "busybox", "sh");
  await call(engine, "POST /containers/tty/resize?h=20&w=80");
  await pressKeys("/containers/tty/attach?stream=1&stdin=1&stdout=1");
  const terminal = { AttachStdin: true, AttachStdout: true, Tty: true };
  const { json: exec } = await call(engine, "POST /containers/tty/exec", { ...terminal, Cmd: ["sh"] });
  await pressKeys(`/exec/${exec.Id}/start`, '{"Tty":true}');
  const all = await told(since, "--filter", `container=${id}`);
  expect(all.map(([action]) => action)).toEqual([
    ...["create", "start", "resize", "attach", "detach", "exec_create: sh ", "exec_start: sh ", "exec_detach"],
  ]);
  expect(all[2]?.[1]).toMatchObject({ height: "20", width: "80" });
  expect(all.at(-1)?.[1]).toMatchObject({ execID: exec.Id, image: "busybox" });
  await engine.ok("rm", "-f", "tty");
});

/** Takes over the connection, waits for the shell, presses ctrl-p ctrl-q, and waits for the end. */
async function pressKeys(path: string, body = ""): Promise<void> {
  const socket = await dial(engine);
  let [text, over] = ["", false];
  socket.on("data", (chunk) => (text += chunk.toString())).on("end", () => (over = true));
  const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n`;
  socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
  await until("it has the connection", () => text.includes(" 101 "));
  socket.write("echo is-$((40+2))\n");
  await until("the shell answers", () => text.includes("is-42"));
  socket.write("\x10\x11");
  await until("it is let go", () => over);
  socket.destroy();
}
