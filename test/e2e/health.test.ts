import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { patience, until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const forever = ["busybox", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"];
const often = ["--health-interval", "100ms", "--health-retries", "2"];

const inspect = async (id: string) => (await call(engine, `GET /containers/${id}/json`)).json;
const health = async (id: string) => (await inspect(id)).State.Health;
const becomes = (id: string, status: string) =>
  until(`${id} is ${status}`, async () => (await health(id))?.Status === status);
const remove = (...ids: string[]) => engine.ok("rm", "-f", "-v", ...ids);

describe.each(["docker", "berth"] as const)("%s", (which) => {
  const one = (...argv: string[]) => cli(which, engine.host, argv);

  test("a health check is run, shown and told", async () => {
    const name = `seen-${which}`;
    const flags = ["--health-cmd", "test -e /ok", "--health-interval", `${500 * patience}ms`, "--health-retries", "1"];
    await one("run", "-d", "--name", name, ...flags, ...forever);
    expect((await one("ps", "--format", "{{.Status}}", "-f", `name=${name}`)).stdout).toContain("(health: starting)");
    await becomes(name, "unhealthy");
    expect((await one("ps", "-q", "-f", `name=${name}`, "-f", "health=unhealthy")).stdout).not.toBe("");
    await one("exec", name, "touch", "/ok");
    await becomes(name, "healthy");
    expect((await one("ps", "--format", "{{.Status}}", "-f", `name=${name}`)).stdout).toContain("(healthy)");
    const format = "{{.State.Health.Status}} {{.State.Health.FailingStreak}}";
    expect((await one("inspect", "-f", format, name)).stdout).toBe("healthy 0\n");
    const filters = ["--filter", `container=${name}`, "--filter", "event=health_status", "--format", "{{.Action}}"];
    const told = await one("events", "--since", "1h", "--until", String(Math.ceil(Date.now() / 1000)), ...filters);
    expect(told.stdout).toBe("health_status: unhealthy\nhealth_status: healthy\n");
    await remove(name);
  });

  test("an image's check is inherited field by field, replaced, or switched off", async () => {
    const image = `checked-${which}`;
    const source = await engine.ok("create", "busybox");
    const check = "HEALTHCHECK --interval=200ms --timeout=7s --retries=4 CMD test -e /ok";
    await engine.ok("commit", "-c", check, source, image);
    const rest = [image, ...forever.slice(1)];
    const inherited = (
      await one("run", "-d", "--health-timeout", "9s", "--health-retries", "1", ...rest)
    ).stdout.trim();
    expect((await inspect(inherited)).Config.Healthcheck).toEqual({
      ...{ Test: ["CMD-SHELL", "test -e /ok"], Interval: 2e8, Timeout: 9e9, Retries: 1 },
    });
    await becomes(inherited, "unhealthy");
    const own = (await one("run", "-d", "--health-cmd", "true", "--health-interval", "100ms", ...rest)).stdout.trim();
    await becomes(own, "healthy");
    const off = (await one("run", "-d", "--no-healthcheck", ...rest)).stdout.trim();
    expect(await health(off)).toBeUndefined();
    await remove(inherited, own, off, source);
  });
});

test("docker's users have the action on failure by annotation or label", async () => {
  const key = "dev.berth.health-on-failure";
  const flags = ["run", "-d", "--health-cmd", "false", ...often];
  const byLabel = await engine.ok(...flags, "--label", `${key}=stop`, ...forever);
  const body = { Image: "busybox", Cmd: ["true"], HostConfig: { Annotations: { [key]: "explode" } } };
  const refused = await call(engine, "POST /v1.51/containers/create", body);
  expect(refused).toMatchObject({ status: 400 });
  expect(refused.json.message).toContain("use one of none, kill, restart, stop");
  const byFlag = await engine.berth(...flags, "--health-on-failure", "kill", ...forever);
  expect((await inspect(byFlag.stdout.trim())).HostConfig.Annotations).toEqual({ [key]: "kill" });
  expect(await engine.ok("wait", byLabel, byFlag.stdout.trim())).toBe("3\n137");
  expect((await engine.berth("create", "--health-on-failure", "kill", "busybox")).stderr).toContain("there is none");
  await remove(byLabel, byFlag.stdout.trim());
});

test("checks go on after a kill -9 of the daemon, which leaves no process of theirs", async () => {
  const healthy = await engine.ok("run", "-d", "--health-cmd", "true", ...often, ...forever);
  const hanging = await engine.ok("run", "-d", "--health-cmd", "sleep 8765", ...often, ...forever);
  await becomes(healthy, "healthy");
  const processes = () => engine.ok("top", hanging, "-o", "pid,args");
  await until("the check runs", async () => (await processes()).includes("sleep 8765"));
  const left = /(\d+)\s+sleep 8765/.exec(await processes())?.[1];
  await engine.stop("SIGKILL");
  expect(existsSync(`/proc/${left}/exe`)).toBe(true);
  await engine.start();
  expect(existsSync(`/proc/${left}/exe`)).toBe(false);
  const before = await health(healthy);
  expect(before.Status).toBe("healthy");
  await until("it is checked again", async () => (await health(healthy)).Log.at(-1).End !== before.Log.at(-1).End);
  await until("the other one, too", async () => (await processes()).includes("sleep 8765"));
  await remove(healthy, hanging);
});

test("a restart of the container starts its health over", async () => {
  const id = await engine.ok("run", "-d", "--health-cmd", "true", ...often, "--health-interval", "1s", ...forever);
  await becomes(id, "healthy");
  await engine.ok("restart", id);
  expect((await health(id)).Status).toBe("starting");
  await remove(id);
});
