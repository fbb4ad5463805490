import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { ExecCreateBody } from "../../wire/mod.ts";
import { execBody, script } from "../testing/bodies.ts";
import { type Engine, startEngine, until } from "../testing/engine.ts";
import { eventsOf, make, makeAndStart } from "../testing/run.ts";
import { FakeSocket } from "../testing/socket.ts";

let engine: Engine;
let id: string;
beforeAll(async () => {
  engine = await startEngine();
  id = await makeAndStart(engine, script("sleep 1000", { Env: ["OWN=1"] }));
});
afterAll(() => engine.dispose());

async function exec(text: string, over: Partial<ExecCreateBody> = {}, input?: string) {
  const { Id } = await engine.containers.createExec(id, execBody(text, over));
  const socket = new FakeSocket();
  if (input !== undefined) socket.type(input);
  if (input !== undefined) socket.input.close();
  const start = { Detach: false, Tty: over.Tty ?? false };
  await engine.containers.startExec(Id, start, async () => socket);
  const { ExitCode, Running } = engine.containers.inspectExec(Id);
  return { Id, ExitCode, Running, socket, ...(over.Tty ? {} : await socket.streams()) };
}

test("output, and the exit code is there when the stream ends", async () => {
  const done = await exec("echo out; echo err >&2; exit 6");
  expect(done).toMatchObject({ ExitCode: 6, Running: false, stdout: "out\n", stderr: "err\n" });
  const told = eventsOf(engine, id).slice(-3);
  expect(told).toEqual([
    "exec_create: sh -c echo out; echo err >&2; exit 6",
    "exec_start: sh -c echo out; echo err >&2; exit 6",
    "exec_die 6",
  ]);
  await until(() => readdirSync(join(engine.directory, "exec/execs", id)).length === 0, "its files are gone");
});

test("the connection is taken over before the process runs: docker-py loses what comes with the answer's head", async () => {
  const { Id } = await engine.containers.createExec(id, execBody("echo early"));
  const socket = new FakeSocket();
  let pid: number | undefined;
  await engine.containers.startExec(Id, { Detach: false, Tty: false }, async () => {
    pid = engine.containers.inspectExec(Id).Pid;
    return socket;
  });
  expect(pid).toBe(0);
  expect((await socket.streams()).stdout).toBe("early\n");
});

test("a client that is gone before the process starts: the exec has ended, nothing ran", async () => {
  const { Id } = await engine.containers.createExec(id, execBody("touch /ran"));
  const gone = Promise.reject(new Error("gone"));
  await expect(engine.containers.startExec(Id, { Detach: false, Tty: false }, () => gone)).rejects.toThrow("gone");
  expect(engine.containers.inspectExec(Id)).toMatchObject({ Running: false, ExitCode: 126 });
  expect((await exec("test -e /ran")).ExitCode).toBe(1);
});

test("user, directory, variables", async () => {
  const over = { User: "app", WorkingDir: "/tmp", Env: ["X=y"] };
  const { stdout } = await exec("id -un; pwd; echo $X $OWN $HOME", over);
  expect(stdout).toBe("app\n/tmp\ny 1 /home/app\n");
  const { Id } = await engine.containers.createExec(id, execBody("true", { User: "nobody-here" }));
  await expect(engine.containers.startExec(Id, { Detach: true, Tty: false })).rejects.toThrow("unable to find user");
});

test("stdin and its end", async () => {
  expect((await exec("cat; echo done", { AttachStdin: true }, "in\n")).stdout).toBe("in\ndone\n");
});

test("a terminal", async () => {
  // Under load one exec in nine runs before its window has its size (crun exec sets it late), so this waits for it.
  const sized = 'until [ "$(stty size 2>/dev/null)" = "40 120" ]; do sleep 0.01; done';
  const { socket, ExitCode } = await exec(`test -t 1 && ${sized}; stty size; echo $TERM`, {
    Tty: true,
    ConsoleSize: [40, 120],
  });
  expect(socket.text).toBe("40 120\r\nxterm\r\n");
  expect(ExitCode).toBe(0);
});

test("capabilities: the container's, all that there are with --privileged", async () => {
  const own = (await exec("cat /proc/self/status")).stdout ?? "";
  const privileged = (await exec("cat /proc/self/status", { Privileged: true })).stdout ?? "";
  const effective = (text: string) => BigInt(`0x${/CapEff:\s*(\w+)/.exec(text)?.[1]}`);
  expect(effective(own)).toBeLessThan(effective(privileged));
  expect(own).toMatch(/Seccomp:\s*2/);
});

test("a program that is not there: 127 and a line on the stream", async () => {
  const done = await exec("", { Cmd: ["no-such-program"] });
  expect(done.ExitCode).toBe(127);
  expect(done.stdout).toContain("executable file not found in $PATH");
});

test("detached: returns when it runs, ends on its own", async () => {
  const { Id } = await engine.containers.createExec(id, execBody("sleep 0.2; exit 3"));
  await engine.containers.startExec(Id, { Detach: true, Tty: false });
  expect(engine.containers.inspectExec(Id).Running).toBe(true);
  expect((await engine.containers.inspect(id, false)).ExecIDs).toEqual([Id]);
  await until(() => engine.containers.inspectExec(Id).ExitCode === 3, "its exit");
  await expect(engine.containers.startExec(Id, { Detach: true, Tty: false })).rejects.toMatchObject({
    kind: "conflict",
  });
});

test("a client that leaves leaves the process alone", async () => {
  const { Id } = await engine.containers.createExec(id, execBody("sleep 1000"));
  const socket = new FakeSocket();
  const served = engine.containers.startExec(Id, { Detach: false, Tty: false }, async () => socket);
  await until(() => engine.containers.inspectExec(Id).Running, "it runs");
  socket.leave();
  await served;
  expect(engine.containers.inspectExec(Id).Running).toBe(true);
});

test("only in a container that runs, only execs that are known", async () => {
  const still = await make(engine, {});
  await expect(engine.containers.createExec(still, execBody("true"))).rejects.toThrow(
    `container ${still} is not running`,
  );
  expect(() => engine.containers.inspectExec("nope")).toThrow("No such exec instance: nope");
  await engine.containers.pause(id);
  await expect(engine.containers.createExec(id, execBody("true"))).rejects.toThrow("unpause the container before exec");
  await engine.containers.unpause(id);
  await expect(engine.containers.createExec(id, execBody("", { Cmd: [] }))).rejects.toThrow(
    "No exec command specified",
  );
});

test("the container's end is the end of its execs", async () => {
  const other = await makeAndStart(engine, script("sleep 1000"));
  const { Id } = await engine.containers.createExec(other, execBody("sleep 1000"));
  await engine.containers.startExec(Id, { Detach: true, Tty: false });
  await engine.containers.kill(other, "KILL");
  expect(engine.containers.inspectExec(Id)).toMatchObject({ Running: false, ExitCode: 137 });
});
