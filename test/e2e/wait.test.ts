import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const run = (...argv: string[]) => engine.berth("run", "-d", ...argv);
const script = (text: string) => ["busybox", "sh", "-c", `trap 'exit 3' TERM; ${text}; while :; do sleep 0.05; done`];
const remove = (...ids: string[]) => engine.ok("rm", "-f", "-v", ...ids);
const status = (id: string) => engine.ok("inspect", "-f", "{{.State.Status}}", id);

describe("run --wait", () => {
  test("healthy, where there is a health check; running, where there is none", async () => {
    const check = ["--health-cmd", "test -e /tmp/ok", "--health-interval", "100ms", "--health-retries", "1000"];
    const ran = await run("--wait", ...check, ...script("sleep 0.5; touch /tmp/ok"));
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    const id = ran.stdout.trim();
    expect(await engine.ok("inspect", "-f", "{{.State.Health.Status}}", id)).toBe("healthy");
    const other = await run("--wait", ...script("true"));
    expect(other).toMatchObject({ code: 0, stderr: "" });
    await remove(id, other.stdout.trim());
  });

  test("unhealthy: status 1, the last check's words, and the container is left", async () => {
    const check = ["--health-cmd", "echo not yet; exit 4", "--health-interval", "100ms", "--health-retries", "2"];
    const ran = await run("--name", "sick", "--wait=healthy", ...check, ...script("echo I was here"));
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("sick failed to be healthy: it is unhealthy, 2 checks in a row have failed");
    expect(ran.stderr).toContain("Its last check ended with 4: not yet");
    expect(ran.stderr).toContain("Its last log lines:\nI was here");
    expect(ran.stdout).toMatch(/^[0-9a-f]{64}\n$/);
    expect(await status("sick")).toBe("running");
    await remove("sick");
  });

  test("a container that ends, with its last lines; also one that removes itself", async () => {
    const ended = await run("--name", "ended", "--wait=log:never", "busybox", "sh", "-c", "echo bye; exit 9");
    expect(ended).toMatchObject({ code: 1 });
    expect(ended.stderr).toContain("ended failed to log /never/: it has ended with exit code 9");
    expect(ended.stderr).toContain("Its last log lines:\nbye");
    expect(await status("ended")).toBe("exited");
    await remove("ended");
    const gone = await run("--rm", "--wait=log:never", "busybox", "true");
    expect(gone.code).toBe(1);
    expect(gone.stderr).toMatch(/it (is gone|has ended with exit code 0)/);
    expect(gone.stderr).not.toContain("is left as it is");
  });

  test("a time limit, and a health check that is not there", async () => {
    const late = await run("--name", "late", "--wait=port:80", "--wait-timeout", "300ms", ...script("echo hello"));
    expect(late.code).toBe(1);
    expect(late.stderr).toContain("late failed to accept connections on port 80: it has not within 0.3 s");
    await remove("late");
    const none = await run("--name", "none", "--wait=healthy", ...script("true"));
    expect(none).toMatchObject({ code: 1 });
    expect(none.stderr).toContain("it has no health check");
    await remove("none");
  });

  test.each(["bridge", "none", "host"])("a port, on the network %s", async (network) => {
    const port = 20_000 + (process.pid % 20_000);
    const listen = `sleep 0.3; while :; do echo hi | nc -l -p ${port}; done`;
    const ran = await run("--network", network, "--wait", `--wait=port:${port}`, ...script(listen));
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    if (network === "host") {
      // The port is another container's: it does not count.
      const name = "other";
      const other = await run(
        "--name",
        name,
        "--network",
        "host",
        `--wait=port:${port}`,
        "--wait-timeout",
        "1s",
        ...script("true"),
      );
      expect(other.code).toBe(1);
      await remove(name);
    }
    await remove(ran.stdout.trim());
  });

  test("a line of the log, also of a terminal; two things at once", async () => {
    const text = "echo starting; sleep 0.3; echo server READY on 80 >&2";
    const ran = await run("--wait=log:^server R.*80$", "--wait", ...script(text));
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    const tty = await run("-t", "--wait=log:^server R.*80$", ...script(text));
    expect(tty).toMatchObject({ code: 0, stderr: "" });
    await remove(ran.stdout.trim(), tty.stdout.trim());
  });

  test("bad words are refused before anything is made", async () => {
    for (const bad of ["nonsense", "port:0", "port:x", "port:70000", "log:", "log:("]) {
      expect((await run(`--wait=${bad}`, "busybox")).code).not.toBe(0);
    }
    expect((await engine.berth("run", "--wait", "busybox")).stderr).toContain("--wait needs --detach");
    expect(await engine.ok("ps", "-aq")).toBe("");
  });
});

test("start --wait looks at the new process's log only", async () => {
  const id = (
    await run(
      "busybox",
      "sh",
      "-c",
      "test -e /tmp/x || { touch /tmp/x; echo ready; exit 0; }; sleep 0.3; echo again; sleep 1000",
    )
  ).stdout.trim();
  await engine.ok("wait", id);
  const late = await engine.berth("start", "--wait=log:ready", "--wait-timeout", "1s", id);
  expect(late.code).toBe(1);
  expect(late.stderr).toContain("failed to log /ready/: it has not within 1 s");
  await engine.ok("kill", id);
  expect(await engine.berth("start", "--wait=log:again", id)).toMatchObject({ code: 0, stdout: `${id}\n` });
  expect((await engine.berth("start", "-a", "--wait", id)).stderr).toContain("--wait goes with neither");
  await remove(id);
});

describe("wait", () => {
  test("next-exit and removed, before the start and over restarts; several at once", async () => {
    const id = await engine.ok("create", "busybox", "sh", "-c", "exit 4");
    expect(await engine.berth("wait", id)).toMatchObject({ code: 0, stdout: "0\n" });
    const next = engine.berth("wait", "--condition", "next-exit", id);
    const removed = engine.berth("wait", "--condition", "removed", id);
    const raw = call(engine, `POST /v1.51/containers/${id}/wait?condition=next-exit`);
    await Bun.sleep(300); // both have asked: nothing tells that from outside
    await engine.ok("start", id);
    expect(await next).toMatchObject({ code: 0, stdout: "4\n" });
    expect((await raw).json).toEqual({ StatusCode: 4 });
    expect(await engine.berth("wait", id, "nosuch", id)).toMatchObject({ code: 1, stdout: "4\n4\n" });
    await remove(id);
    expect(await removed).toMatchObject({ code: 0, stdout: "4\n" });
  });

  test("a restart by policy is no end; the last one is", async () => {
    const id = await engine.ok("run", "-d", "--restart", "on-failure:2", "busybox", "sh", "-c", "exit 6");
    expect(await engine.ok("wait", id)).toBe("6");
    expect(await engine.ok("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", id)).toBe("2 exited");
    await remove(id);
  });

  test("healthy, running, a port and a log line", async () => {
    const id = await engine.ok("create", ...script("echo up; nc -l -p 7777 </dev/null"));
    const all = ["running", "port:7777", "log:up"].map((condition) =>
      engine.berth("wait", "--condition", condition, id),
    );
    await engine.ok("start", id);
    for (const one of await Promise.all(all)) expect(one).toMatchObject({ code: 0, stdout: "0\n" });
    expect(await engine.berth("wait", "--condition", "healthy", id)).toMatchObject({ code: 1 });
    expect(await engine.berth("wait", "--condition", "bogus", id)).toMatchObject({ code: 1 });
    for (const bad of ["port:0", "port:99999", "healthyish"]) {
      expect((await call(engine, `POST /v1.51/containers/${id}/wait?condition=${bad}`)).status).toBe(400);
    }
    const waiting = call(engine, `POST /v1.51/containers/${id}/wait?condition=port:7778`);
    await engine.ok("stop", "-t", "0", id);
    expect((await waiting).json.Error.Message).toMatch(
      /is not running \(exit code 137\): nothing listens on its port 7778/,
    );
    await remove(id);
  });
});

describe("stop of a process that ignores the signal", () => {
  const said = () =>
    engine.log().then((text) => text.split("\n").filter((line) => line.includes("after its time to stop")));

  test("berth says so while it waits, the event and the daemon's log say why", async () => {
    await engine.ok("run", "-d", "--name", "deaf", "busybox", "sleep", "1000");
    const stopped = await engine.berth("stop", "-t", "2", "deaf");
    expect(stopped).toMatchObject({ code: 0, stdout: "deaf\n" });
    expect(stopped.stderr).toMatch(
      /^WARNING: deaf: PID 1 \(sleep\) ignores SIGTERM: .*; it is killed after 2 s\. Run it with --init/,
    );
    const events = await engine.ok(
      "events",
      "--since",
      "1h",
      "--until",
      "0s",
      "--filter",
      "container=deaf",
      "--filter",
      "event=kill",
    );
    expect(events).toContain("dev.berth.ignored=PID 1 (sleep) ignores SIGTERM");
    expect(await said()).toHaveLength(1);
    await remove("deaf");
  });

  test("nothing is said of one that only takes its time, or of an init's child", async () => {
    const slow = await engine.ok(
      "run",
      "-d",
      ...script("true").slice(0, 3),
      "trap 'sleep 1.5; exit 3' TERM; echo set; while :; do sleep 0.05; done",
    );
    await until("its handler is set", async () => (await engine.ok("logs", slow)).includes("set"));
    expect(await engine.berth("stop", slow)).toMatchObject({ code: 0, stderr: "" });
    const init = await engine.ok("run", "-d", "--init", "busybox", "sleep", "1000");
    await until("its init runs it", async () => (await engine.ok("top", init)).includes("sleep 1000"));
    expect(await engine.berth("stop", init)).toMatchObject({ code: 0, stderr: "" });
    expect(await engine.ok("inspect", "-f", "{{.State.ExitCode}}", init)).toBe("143");
    expect(await said()).toHaveLength(1);
    await remove(slow, init);
  });
});

test("--init hands signals on and reaps what is orphaned", async () => {
  const text = "trap 'exit 5' USR1; (sleep 0.1 & ) ; echo ready; while :; do sleep 0.05; done";
  const id = await engine.ok("run", "-d", "--init", "busybox", "sh", "-c", text);
  await until("it is ready", async () => (await engine.ok("logs", id)).includes("ready"));
  await until("no zombie is left", async () => !(await engine.ok("top", id, "-o", "pid,stat,args")).includes(" Z"));
  await engine.ok("kill", "-s", "USR1", id);
  expect(await engine.ok("wait", id)).toBe("5");
  await remove(id);
  const cliOf = (which: "docker" | "berth") =>
    cli(which, engine.host, ["run", "--rm", "--init", "busybox", "sh", "-c", "exit 12"]);
  for (const which of ["docker", "berth"] as const) expect((await cliOf(which)).code).toBe(12);
});
