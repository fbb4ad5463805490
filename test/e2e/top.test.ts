import { afterAll, beforeAll, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
  await engine.ok("run", "-d", "--name", "web", "busybox", "sh", "-c", "sleep 1000 & sleep 1001 & wait");
  await until("both have begun", async () => (await engine.docker("top", "web")).stdout.includes("sleep 1001"));
});
afterAll(() => engine[Symbol.asyncDispose]());

const top = async (psArgs: string, name = "web") =>
  (await call(engine, `GET /containers/${name}/top?ps_args=${encodeURIComponent(psArgs)}`)) as {
    status: number;
    json: { Titles: string[]; Processes: string[][]; message: string };
  };

test.each(["docker", "berth"] as const)("%s top", async (which) => {
  const plain = (await engine[which]("top", "web")).stdout;
  expect(plain).toMatch(/^UID +PID +PPID +C +STIME +TTY +TIME +CMD\n/);
  expect(plain).toContain("sleep 1000");
  expect(plain.trim().split("\n")).toHaveLength(4);
  expect((await engine[which]("top", "web", "aux")).stdout).toMatch(/^USER +PID +%CPU +%MEM +VSZ +RSS/);
  const columns = (await engine[which]("top", "web", "-o", "pid,comm")).stdout;
  expect(columns.split("\n").map((line) => line.trim().split(/ +/)[1])).toEqual([
    "COMMAND",
    "sh",
    "sleep",
    "sleep",
    undefined,
  ]);
});

test.each([
  ["-o comm", "Couldn't find PID field in ps output"],
  ["--help", "Couldn't find PID field in ps output"],
  ["-o pid -o comm=PID", 'specifying "comm=PID" is not allowed'],
  ["; id", "ps: error: garbage option"],
  ["-ef | id", "ps: error: garbage option"],
  ["$(touch /tmp/never)", "ps: error: garbage option"],
  ["-o `id`", 'ps: error: unknown user-defined format specifier "`id`"'],
])("ps %p is refused: %s", async (psArgs, message) => {
  const { status, json } = await top(psArgs);
  expect([status, json.message]).toEqual([400, message]);
});

test("threads come with their process", async () => {
  const { json } = await top("-m -o pid,comm");
  expect(json.Processes.filter(([pid]) => pid === "-")).toHaveLength(3);
});

test("what does not run has no processes", async () => {
  const { json: created } = await call(engine, "POST /containers/create?name=still", { Image: "busybox" });
  expect(await top("", "still")).toMatchObject({
    status: 409,
    json: { message: `container ${created.Id} is not running` },
  });
  const id = await engine.ok("run", "-d", "--name", "again", "--restart", "always", "busybox", "false");
  await until("it waits for its next start", async () => {
    const { status, json } = await top("", "again");
    return status === 409 && json.message === `Container ${id} is restarting, wait until the container is running`;
  });
  expect((await top("", "nope")).status).toBe(404);
  await engine.ok("rm", "-f", "again");
});

test("a paused one has, and everybody hears of it", async () => {
  await engine.ok("pause", "web");
  const since = Date.now() / 1000;
  expect((await top("")).json.Processes).toHaveLength(3);
  await engine.ok("unpause", "web");
  const window = ["--since", since.toFixed(3), "--until", (Date.now() / 1000 + 0.001).toFixed(3)];
  expect(await engine.ok("events", ...window, "--filter", "event=top", "--format", "{{.Actor.Attributes.name}}")).toBe(
    "web",
  );
});

test("names that a process gives itself stay in their place", async () => {
  // A script's process is called what the script is called.
  const script = String.raw`f="$(printf '/tmp/\033[31m\nx 1 y')"; printf '#!/bin/sh\nsleep 1000\n' >"$f"; chmod +x "$f"; exec "$f"`;
  await engine.ok("run", "-d", "--name", "evil", "busybox", "sh", "-c", script);
  await until("it has its name", async () => {
    const { json } = await top("-o pid,comm", "evil");
    return json.Processes?.some(([, name]) => name?.includes("31m"));
  });
  for (const psArgs of ["-ef", "aux", "-o pid,comm,args", "-o args,pid"]) {
    const { json } = await top(psArgs, "evil");
    expect(json.Processes.length).toBeLessThanOrEqual(2);
    expect(json.Processes.flat().join("")).not.toMatch(/[\x00-\x1f\x7f]/);
  }
  expect((await top("-ef")).json.Processes).toHaveLength(3);
  await engine.ok("rm", "-f", "evil");
});
