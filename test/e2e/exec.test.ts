import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, type Engine, isOld, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { onTerminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
  await engine.ok("run", "-d", "--name", "box", "-e", "A=container", "-w", "/tmp", "busybox", "sleep", "100000");
});
afterAll(() => engine[Symbol.asyncDispose]());

describe.each(["docker", "berth"] as const)("%s exec", (which) => {
  const exec = (...argv: string[]) => cli(which, engine.host, ["exec", ...argv]);

  test("keeps the streams apart and passes on the exit status", async () => {
    expect(await exec("box", "sh", "-c", "echo out; echo err >&2; exit 7")).toEqual({
      code: 7,
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  test("-i carries input to its end", async () => {
    const stdin = Buffer.alloc(2 << 20, "abc\n");
    const { stdout, code } = await cli(which, engine.host, ["exec", "-i", "box", "wc", "-c"], { stdin });
    expect({ stdout: stdout.trim(), code }).toEqual({ stdout: `${2 << 20}`, code: 0 });
  });

  test("inherits what the container has, and changes what it is told", async () => {
    expect((await exec("box", "sh", "-c", "echo $A; pwd; id -u")).stdout).toBe("container\n/tmp\n0\n");
    const flags = ["-e", "A=mine", "-w", "/etc", "-u", "alice"];
    expect((await exec(...flags, "box", "sh", "-c", "echo $A; pwd; id -u; id -G")).stdout).toBe(
      "mine\n/etc\n1000\n1000 10\n",
    );
  });

  test("-d returns at once and leaves the command running", async () => {
    expect(await exec("-d", "box", "sh", "-c", `sleep 0.2; touch /tmp/done-${which}`)).toMatchObject({ code: 0 });
    await until("the detached command ends", async () => (await exec("box", "ls", `/tmp/done-${which}`)).code === 0);
  });

  test("-t gives a terminal that follows the caller's size", async () => {
    const script =
      "until stty size | grep '33 111'; do sleep 0.1; done; read go; until stty size | grep '22 99'; do sleep 0.1; done; exit 6";
    await using screen = onTerminal(which, engine.host, ["exec", "-it", "box", "sh", "-c", script]);
    await screen.shows("33 111");
    screen.type("go\n");
    await screen.resizeUntil({ columns: 99, rows: 22 }, "22 99");
    expect(await screen.exited).toBe(6);
  });

  test("a command that is not there gives 127, one that cannot run 126", async () => {
    expect((await exec("box", "no-such-program")).code).toBe(127);
    expect((await exec("box", "/etc/passwd")).code).toBe(126);
    expect((await exec("-w", "/no/such/directory", "box", "true")).code).not.toBe(0);
  });

  test("a container that does not exist, does not run or is paused refuses", async () => {
    expect((await exec("nobody", "true")).stderr).toContain("No such container: nobody");
    await engine.ok("create", "--name", "still", "busybox", "true");
    expect((await exec("still", "true")).stderr).toMatch(/container [0-9a-f]+ is not running/);
    await engine.ok("rm", "still");
    await engine.ok("pause", "box");
    expect((await exec("box", "true")).stderr).toMatch(/is paused, unpause the container/);
    await engine.ok("unpause", "box");
  });
});

test("an unknown user is named", async () => {
  const { code, stdout } = await engine.docker("exec", "-u", "nobody-here", "box", "true");
  expect({ code, stdout }).toEqual({
    code: 126,
    stdout: "unable to find user nobody-here: no matching entries in passwd file\r\n",
  });
});

test("inspect tells of a running exec, and of its end", async () => {
  const box = (await call(engine, "GET /containers/box/json")).json.Id;
  const { json } = await call(engine, "POST /containers/box/exec", {
    Cmd: ["sh", "-c", "sleep 0.3; exit 3"],
    User: "1000",
  });
  const before = (await call(engine, `GET /exec/${json.Id}/json`)).json;
  expect(before).toMatchObject({ ID: json.Id, Running: false, ExitCode: null, ContainerID: box, Pid: 0 });
  expect(before.ProcessConfig).toMatchObject({
    entrypoint: "sh",
    arguments: ["-c", "sleep 0.3; exit 3"],
    user: "1000",
  });
  expect((await call(engine, `POST /exec/${json.Id}/start`, { Detach: true })).status).toBe(200);
  expect((await call(engine, "GET /containers/box/json")).json.ExecIDs).toContain(json.Id);
  const after = await until("the exec ends", async () => {
    const { json: state } = await call(engine, `GET /exec/${json.Id}/json`);
    return state.Running === false && state;
  });
  expect(after.ExitCode).toBe(3);
  expect((await call(engine, `POST /exec/${json.Id}/start`, { Detach: true })).status).toBe(409);
});

test("unknown execs, and those without a command, are refused", async () => {
  expect((await call(engine, "GET /exec/nope/json")).status).toBe(404);
  expect((await call(engine, "POST /exec/nope/start", {})).status).toBe(404);
  expect(await call(engine, "POST /containers/box/exec", { Cmd: [] })).toMatchObject({
    status: 400,
    json: { message: "No exec command specified" },
  });
});

test("50 at once in one container", async () => {
  const all = await Promise.all(
    Array.from({ length: 50 }, (_, index) => engine.docker("exec", "box", "sh", "-c", `echo ${index}; exit ${index}`)),
  );
  expect(all.map(({ code, stdout }) => [code, stdout])).toEqual(all.map((_, index) => [index, `${index}\n`]));
});

test("a terminal has its size from the first byte on, 100 times, with both CLIs", async () => {
  const once = async (index: number) => {
    const which = index % 2 === 0 && !isOld("docker") ? "docker" : "berth"; // the CLI 20 sets it later
    await using screen = onTerminal(which, engine.host, ["exec", "-t", "box", "stty", "size"]);
    await screen.exited;
    return screen.text.trim();
  };
  const shown: string[] = [];
  for (let at = 0; at < 100; at += 4) shown.push(...(await Promise.all([at, at + 1, at + 2, at + 3].map(once))));
  expect([...new Set(shown)]).toEqual(["33 111"]);
});

test("a signal's exit code, and one of a program that is no program", async () => {
  expect((await engine.docker("exec", "box", "sh", "-c", "kill -TERM $$")).code).toBe(143);
  expect((await engine.docker("exec", "box", "sh", "-c", "kill -KILL $$")).code).toBe(137);
  await engine.ok("exec", "box", "sh", "-c", "echo garbage > /garbage; chmod +x /garbage");
  const garbage = await engine.docker("exec", "box", "/garbage");
  expect(garbage.code).not.toBe(0);
  expect(garbage.stderr.toLowerCase()).toContain("exec format error");
});

test("detached with a terminal: it is resized, and hung up by nobody", async () => {
  const Cmd = ["sh", "-c", "until stty size | grep -q '7 9'; do sleep 0.02; done; stty size; exit 8"];
  const { json } = await call(engine, "POST /containers/box/exec", { Cmd, Tty: true });
  expect((await call(engine, `POST /exec/${json.Id}/resize?h=7&w=9`)).status).toBe(409);
  expect((await call(engine, `POST /exec/${json.Id}/start`, { Detach: true, Tty: true })).status).toBe(200);
  const twice = await call(engine, `POST /exec/${json.Id}/start`, { Detach: true });
  expect(twice).toMatchObject({ status: 409, json: { message: `Error: Exec command ${json.Id} is already running` } });
  expect((await call(engine, `POST /exec/${json.Id}/resize?h=x&w=9`)).status).toBe(400);
  expect((await call(engine, `POST /exec/${json.Id}/resize?h=7&w=9`)).status).toBe(200);
  const end = await until("it ends", async () => {
    const { json: state } = await call(engine, `GET /exec/${json.Id}/json`);
    return state.Running === false && state;
  });
  expect(end).toMatchObject({ ExitCode: 8, Pid: 0, CanRemove: false });
  const again = await call(engine, `POST /exec/${json.Id}/start`, { Detach: true });
  expect(again).toMatchObject({ status: 409, json: { message: `Error: Exec command ${json.Id} has already run` } });
  expect((await call(engine, `POST /exec/${json.Id}/resize?h=7&w=9`)).status).toBe(409);
});

test("a created exec that finds its container paused waits for another start", async () => {
  const { json } = await call(engine, "POST /containers/box/exec", { Cmd: ["sh", "-c", "exit 4"] });
  await engine.ok("pause", "box");
  const paused = await call(engine, `POST /exec/${json.Id}/start`, { Detach: true });
  await engine.ok("unpause", "box");
  expect(paused).toMatchObject({ status: 409, json: { message: expect.stringContaining("is paused, unpause") } });
  expect((await call(engine, `POST /exec/${json.Id}/start`, { Detach: true })).status).toBe(200);
  await until("it ends", async () => (await call(engine, `GET /exec/${json.Id}/json`)).json.ExitCode === 4);
});

test("keys that there are not are refused in dockerd's words", async () => {
  const bad = { Cmd: ["true"], DetachKeys: "ctrl-1" };
  expect(await call(engine, "POST /containers/box/exec", bad)).toMatchObject({
    status: 400,
    json: { message: "Invalid escape keys (ctrl-1) provided" },
  });
  expect(await call(engine, "POST /containers/box/attach?stream=1&detachKeys=ctrl-1")).toMatchObject({
    status: 400,
    json: { message: "Invalid detach keys (ctrl-1) provided" },
  });
});

test.each(["docker", "berth"] as const)(
  "%s exec -it: detach keys leave the process, ctrl-c reaches it",
  async (which) => {
    await using screen = onTerminal(which, engine.host, ["exec", "-it", "--detach-keys", "ctrl-a,d", "box", "sh"]);
    screen.type("echo pid-$$\n");
    await screen.shows(/pid-\d+/);
    const pid = /pid-(\d+)/.exec(screen.text)?.[1] ?? "";
    screen.type("echo asleep-$((1+1)); sleep 1000\n");
    await screen.shows("asleep-2");
    screen.type("\x03");
    screen.type("echo back-$((6*7))\n");
    await screen.shows("back-42");
    screen.type("\x01d");
    await screen.exited;
    await engine.ok("exec", "box", "kill", "-0", pid);
    await engine.ok("exec", "box", "kill", "-KILL", pid);
  },
);

test("ends with its container: 137, its stream ends, and nothing of it is left", async () => {
  await engine.ok("run", "-d", "--name", "short", "busybox", "sleep", "100000");
  const id = (await call(engine, "GET /containers/short/json")).json.Id;
  const running = ["-i", "-t"].map((flag) => engine.docker("exec", flag, "short", "sleep", "100000"));
  await until("both run", async () => (await call(engine, "GET /containers/short/json")).json.ExecIDs?.length === 2);
  await engine.ok("stop", "-t", "0", "short");
  expect((await Promise.all(running)).map(({ code }) => code)).toEqual([137, 137]);
  expect((await call(engine, "GET /containers/short/json")).json.ExecIDs).toBeNull();
  const tasks = () => readdirSync(`${engine.directory}/exec/tasks`).length;
  await until("their records are gone", () => !existsSync(`${engine.directory}/exec/execs/${id}`) && tasks() === 1);
  await engine.ok("rm", "short");
});

test("a daemon that is killed leaves a detached exec running, and the next one clears up after it", async () => {
  await engine.ok("exec", "-d", "box", "sh", "-c", "until [ -e /go ]; do sleep 0.02; done; touch /went");
  await engine.stop("SIGKILL");
  await engine.start();
  await engine.ok("exec", "box", "touch", "/go");
  await until("it has gone on", async () => (await engine.docker("exec", "box", "test", "-e", "/went")).code === 0);
  await until("its record is gone", () => readdirSync(`${engine.directory}/exec/tasks`).length === 1);
});

test("--privileged has every capability that the engine has", async () => {
  const caps = "grep CapEff /proc/self/status";
  const plain = await engine.ok("exec", "box", "sh", "-c", caps);
  const all = await engine.ok("exec", "--privileged", "box", "sh", "-c", caps);
  expect(plain).toBe("CapEff:\t00000000a80425fb");
  expect(BigInt(`0x${all.split("\t")[1]}`)).toBeGreaterThan(0xa80425fbn);
});
