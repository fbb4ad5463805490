import { expect, test } from "bun:test";
import { frame } from "../../../stream/mod.ts";
import { type Answers, cli, refusing } from "../../testing/fake.ts";

const id = "c".repeat(64);
const line = (text: string) => frame("stdout", Buffer.from(text));

interface Shown {
  readonly health?: { Status: string; FailingStreak?: number; Log?: unknown[] };
  readonly status?: string;
}

/** An engine whose container is shown in these states, one after the other, the last again and again. */
function engine(shown: readonly Shown[], more: Answers = {}): Answers {
  let at = 0;
  const inspect = () => {
    const { health, status = "running" } = shown[Math.min(at++, shown.length - 1)] ?? {};
    const Running = status === "running";
    const State = { Status: status, Running, ExitCode: Running ? 0 : 5, Error: "", ...(health && { Health: health }) };
    return { Id: id, Name: "/web", Config: { Tty: false }, HostConfig: { AutoRemove: false }, State };
  };
  return {
    "POST /containers/create": { Id: id, Warnings: [] },
    "POST /containers/web/start": {},
    [`POST /containers/${id}/start`]: {},
    "GET /containers/web/json": inspect,
    "GET /containers/web/logs": line("last words\n"),
    ...more,
  };
}

const run = (answers: Answers, ...flags: string[]) => cli(["run", "-d", "--name", "web", ...flags, "x"], { answers });

test("goes on until it is healthy", async () => {
  const states = ["starting", "starting", "healthy"].map((Status) => ({ health: { Status } }));
  const ran = await run(engine(states), "--wait");
  expect(ran).toMatchObject({ status: 0, out: `${id}\n`, err: "" });
  expect(ran.asked.filter((one) => one === "GET /containers/web/json")).toHaveLength(3);
});

test("running is enough where nothing more is asked", async () => {
  expect(await run(engine([{}]), "--wait")).toMatchObject({ status: 0 });
  expect(await run(engine([{ health: { Status: "starting" } }]), "--wait=running")).toMatchObject({ status: 0 });
});

test("tells the reason, the last check and the last lines", async () => {
  const sick = { Status: "unhealthy", FailingStreak: 3, Log: [{ ExitCode: 1, Output: "no answer\n" }] };
  const ran = await run(engine([{ health: sick }]), "--wait");
  expect(ran).toMatchObject({ status: 1, out: `${id}\n` });
  expect(ran.err).toBe(
    [
      "berth: web failed to be ready: it is unhealthy, 3 checks in a row have failed",
      "Its last check ended with 1: no answer",
      "Its last log lines:\nlast words",
      "The container is left as it is: see berth logs web and berth inspect web\n",
    ].join("\n"),
  );
  const ended = await run(engine([{ status: "exited" }]), "--wait=healthy");
  expect(ended.err).toContain("web failed to be healthy: it has ended with exit code 5\n");
});

test("a port is the engine's business, which may not know how", async () => {
  const wait = "POST /containers/web/wait";
  const good = await run(engine([{}], { [wait]: { StatusCode: 0 } }), "--wait=port:80");
  expect(good).toMatchObject({ status: 0 });
  expect(good.asked).toContain("POST /containers/web/wait?condition=port:80");
  const failed = { StatusCode: 125, Error: { Message: "container is not running" } };
  expect((await run(engine([{}], { [wait]: failed }), "--wait=port:80")).err).toContain("container is not running");
  const unknown = refusing("invalid", 'invalid condition: "port:80"');
  expect((await run(engine([{}], { [wait]: unknown }), "--wait=port:80")).err).toContain("invalid condition");
});

test("a line of the log is found across pieces, and not across lines", async () => {
  const log = Buffer.concat([line("server re"), line("ady\nother\n")]);
  const logs = { "GET /containers/web/logs": log };
  expect(await run(engine([{}], logs), "--wait=log:^server ready$")).toMatchObject({ status: 0 });
  const states = [{}, { status: "exited" }];
  expect(await run(engine(states, logs), "--wait=log:ready.other")).toMatchObject({ status: 1 });
});

test("shows how it goes on a terminal, and takes it away", async () => {
  const states = ["starting", "healthy"].map((Status) => ({ health: { Status } }));
  const ran = await cli(["run", "-d", "--name", "web", "--wait", "x"], { answers: engine(states), terminal: 60 });
  expect(ran.err).toBe("\r\x1b[2KWaiting for web to be ready (health: starting), 0 s\r\x1b[2K");
});

test("start --wait counts log lines from where the log was", async () => {
  let asked = 0;
  const logs = () => (asked++ === 0 ? line("2026-01-02T03:04:05.999999999Z old\n") : line("new\n"));
  const ran = await cli(["start", "--wait=log:new", "web"], {
    answers: engine([{ status: "exited" }, {}], { "GET /containers/web/logs": logs }),
  });
  expect(ran).toMatchObject({ status: 0, out: "web\n", err: "" });
  expect(ran.asked).toContain(
    "GET /containers/web/logs?stdout=true&stderr=true&follow=true&since=1767323046.000000000",
  );
});

test("a stop that takes long says why", async () => {
  const attributes = { "dev.berth.ignored": "PID 1 (sleep) ignores SIGTERM" };
  const answers = {
    "POST /containers/web/stop": () => Bun.sleep(1100),
    "GET /containers/web/json": { Id: id, Config: { StopTimeout: 7 } },
    "GET /events": [
      { Action: "kill", Actor: { ID: id, Attributes: {} } },
      { Actor: { ID: id, Attributes: attributes } },
    ],
  };
  const stopped = await cli(["stop", "web"], { answers });
  expect(stopped).toMatchObject({ status: 0, out: "web\n" });
  expect(stopped.err).toStartWith("WARNING: web: PID 1 (sleep) ignores SIGTERM; it is killed after 7 s.");
  const forever = await cli(["stop", "-t", "-1", "web"], { answers });
  expect(forever.err).toContain("this waits until it ends by itself");
  const { "GET /events": _, ...mute } = answers;
  expect(await cli(["stop", "web"], { answers: mute })).toMatchObject({ status: 0, err: "" });
});
