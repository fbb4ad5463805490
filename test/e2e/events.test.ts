import { afterAll, beforeAll, expect, test } from "bun:test";
import { berth, cli, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

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
    timeout: 30_000,
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
