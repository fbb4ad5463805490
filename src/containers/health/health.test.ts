import { afterAll, beforeAll, expect, test } from "bun:test";
import { availableParallelism } from "node:os";
import type { ContainerConfig, HostConfig } from "../../wire/mod.ts";
import { body, execBody, script } from "../testing/bodies.ts";
import { type Engine, startEngine, until } from "../testing/engine.ts";
import { eventsOf, make, makeAndStart, never } from "../testing/run.ts";
import { onFailureKey } from "./on-failure.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.dispose());

const forever = "trap 'exit 3' TERM; while :; do sleep 0.05; done";
const fast = { Interval: 50e6, Timeout: 10e9, Retries: 2 };

function start(check: string, config: Partial<ContainerConfig> = {}, host: Partial<HostConfig> = {}): Promise<string> {
  const Healthcheck = { ...fast, Test: ["CMD-SHELL", check], ...config.Healthcheck };
  return makeAndStart(engine, script(forever, { ...config, Healthcheck }), host);
}

const state = async (id: string) => (await engine.containers.inspect(id, false)).State;
const health = async (id: string) => (await state(id)).Health;
const becomes = (id: string, status: string) =>
  until(async () => (await health(id))?.Status === status, `${id} is ${status}`);

async function exec(id: string, command: string): Promise<void> {
  const { Id } = await engine.containers.createExec(id, execBody(command));
  await engine.containers.startExec(Id, { Detach: true, Tty: false });
  await until(() => !engine.containers.inspectExec(Id).Running, "the exec ends");
}

async function listed(id: string, status?: string) {
  const filter = new Map([["id", [id]], ...(status ? [["health", [status]] as const] : [])]);
  const [found] = await engine.containers.list({ all: true, limit: 0, size: false, filter });
  return found?.Status;
}

test("starting, unhealthy, healthy: state, list, filter and events", async () => {
  const id = await start("echo looked; test -e /tmp/ok", { Healthcheck: { Interval: 300e6 } });
  expect(await health(id)).toEqual({ Status: "starting", FailingStreak: 0, Log: [] });
  expect(await listed(id)).toMatch(/^Up .* \(health: starting\)$/);
  await becomes(id, "unhealthy");
  expect(await listed(id, "unhealthy")).toMatch(/\(unhealthy\)$/);
  const seen = await health(id);
  expect(seen?.Log?.[0]).toMatchObject({ ExitCode: 1, Output: "looked\n" });
  expect(seen?.FailingStreak).toBe(2);
  await exec(id, "touch /tmp/ok");
  await becomes(id, "healthy");
  expect(await listed(id, "healthy")).toMatch(/\(healthy\)$/);
  expect(await listed(id, "none")).toBeUndefined();
  const told = eventsOf(engine, id);
  expect(told.filter((event) => event.startsWith("health"))).toEqual([
    ...["health_status: unhealthy", "health_status: healthy"],
  ]);
  const probe = [
    "exec_create: /bin/sh -c echo looked; test -e /tmp/ok",
    "exec_start: /bin/sh -c echo looked; test -e /tmp/ok",
  ];
  expect(told).toEqual(expect.arrayContaining([...probe, "exec_die 1"]));
  expect((await engine.containers.inspect(id, false)).ExecIDs).toBeNull();
});

test("a paused container is not checked, and not healthy until the next check", async () => {
  const id = await start("true");
  await becomes(id, "healthy");
  await engine.containers.pause(id);
  const frozen = await health(id);
  expect(frozen?.Status).toBe("unhealthy");
  await engine.containers.unpause(id);
  await becomes(id, "healthy");
  expect(frozen?.Log?.every((one) => one.ExitCode === 0)).toBe(true);
});

test("a stopped container is unhealthy, and starts over with what was logged", async () => {
  const id = await start("true", { Healthcheck: { Interval: 400e6 } });
  await becomes(id, "healthy");
  await engine.containers.stop(id, {});
  const stopped = await health(id);
  expect(stopped?.Status).toBe("unhealthy");
  expect(await listed(id)).toMatch(/^Exited \(3\)/);
  await engine.containers.start(id);
  expect(await health(id)).toEqual({ Status: "starting", FailingStreak: 0, Log: stopped?.Log ?? null });
  await becomes(id, "healthy");
});

test("a check that takes too long is ended with its children", async () => {
  const Healthcheck = { ...fast, Timeout: 300e6 };
  const id = await start("echo first; sleep 4321 & sleep 4321", { Healthcheck });
  await until(async () => ((await health(id))?.Log?.length ?? 0) > 0, "there is a result");
  const [first] = (await health(id))?.Log ?? [];
  expect(first).toMatchObject({ ExitCode: -1, Output: "Health check exceeded timeout (300ms): first\n" });
  await engine.containers.pause(id); // nobody checks any more
  expect((await engine.containers.top(id, "-o pid,args")).Processes.flat().join("\n")).not.toContain("sleep 4321");
  await engine.containers.unpause(id);
});

test("checks that hang keep nobody else from being checked", async () => {
  const Healthcheck = { ...fast, Timeout: 60e9 };
  const count = Math.max(2, availableParallelism()) + 1; // more than may be started at once
  const hanging = await Promise.all(Array.from({ length: count }, () => start("sleep 4322", { Healthcheck })));
  for (const id of hanging)
    await until(
      async () => JSON.stringify(await engine.containers.top(id, "-o pid,args")).includes("4322"),
      "it hangs",
    );
  await becomes(await start("true"), "healthy");
  for (const id of hanging) await engine.containers.remove(id, { force: true, volumes: true, link: false });
});

test("one that writes without end harms nobody", async () => {
  const id = await start("while :; do cat /bin/busybox; done", { Healthcheck: { ...fast, Timeout: 500e6 } });
  await until(async () => ((await health(id))?.Log?.length ?? 0) > 0, "there is a result");
  const output = (await health(id))?.Log?.[0]?.Output ?? "";
  expect(output).toStartWith("Health check exceeded timeout (500ms): ");
  expect(output.length).toBeLessThan(4200);
  expect(output).toEndWith("...");
});

test("a program that is not there, as dockerd says it", async () => {
  const id = await start("", { Healthcheck: { ...fast, Test: ["CMD", "nosuch"] } });
  await becomes(id, "unhealthy");
  expect((await health(id))?.Log?.[0]).toMatchObject({
    ExitCode: -1,
    Output:
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown',
  });
});

test("runs as the container's user, in its directory, with its variables and the image's shell", async () => {
  const Healthcheck = { ...fast, Test: ["CMD-SHELL", 'echo "$(id -u) $PWD $MINE $0"'] };
  const more = { User: "app", WorkingDir: "/tmp", Env: ["MINE=yes"], Shell: ["/bin/busybox", "sh", "-c"] };
  const id = await start("", { Healthcheck, ...more });
  await becomes(id, "healthy");
  expect((await health(id))?.Log?.[0]?.Output).toBe("1000 /tmp yes sh\n");
});

test("NONE, an unknown kind and none at all are no check", async () => {
  for (const Test of [["NONE"], ["FOO", "x"], []]) {
    const id = await makeAndStart(engine, script(forever, { Healthcheck: { Test } }));
    expect(await health(id)).toBeUndefined();
    expect(await listed(id, "none")).toMatch(/^Up [^(]*$/);
    await engine.containers.remove(id, { force: true, volumes: false, link: false });
  }
  const { Warnings } = await engine.containers.create({ body: body({ Healthcheck: { Test: ["FOO"] } }) });
  expect(Warnings[0]).toContain("Unknown health check type 'FOO'");
});

test("what cannot be is refused", async () => {
  await expect(make(engine, { Healthcheck: { Interval: 1000 } })).rejects.toThrow(
    "Interval in Healthcheck cannot be less",
  );
  await expect(make(engine, { Healthcheck: { Test: ["CMD", "a\0b"] } })).rejects.toThrow(
    "Healthcheck must not hold a NUL byte",
  );
  const asks = { Annotations: { [onFailureKey]: "kill" } };
  await expect(make(engine, {}, asks)).rejects.toThrow("needs a health check");
});

test("kill on failure is a crash: the restart policy applies", async () => {
  const host = { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 1 } };
  const id = await start("test -e /nosuch", {}, { ...host, Annotations: { [onFailureKey]: "kill" } });
  await until(async () => (await state(id)).Status === "exited", "it has been killed twice");
  expect(await state(id)).toMatchObject({ ExitCode: 137 });
  expect((await engine.containers.inspect(id, false)).RestartCount).toBe(1);
});

test("stop on failure stops it for good, with its own signal", async () => {
  const host = { RestartPolicy: { Name: "always", MaximumRetryCount: 0 } };
  const id = await start("false", { Labels: { [onFailureKey]: "stop" } }, host);
  expect((await engine.containers.wait(id, "not-running", never)).StatusCode).toBe(3);
  expect((await state(id)).Status).toBe("exited");
});

test("restart on failure starts it again", async () => {
  const id = await start("test -e /tmp/second", {}, { Annotations: { [onFailureKey]: "restart" } });
  const before = (await state(id)).StartedAt;
  await until(async () => (await state(id)).StartedAt !== before, "it was restarted");
  await exec(id, "touch /tmp/second");
  await becomes(id, "healthy");
  expect(eventsOf(engine, id)).toContain("restart");
});

test("checks go on after the daemon was killed, and what it left is ended", async () => {
  const healthy = await start("true");
  const hanging = await start("sleep 9876", { Healthcheck: { ...fast, Timeout: 60e9 } });
  await becomes(healthy, "healthy");
  const processes = async () => (await engine.containers.top(hanging, "-o pid,args")).Processes.flat().join("\n");
  await until(async () => (await processes()).includes("9876"), "the check runs");
  engine = await engine.crash();
  expect((await health(healthy))?.Status).toBe("healthy");
  expect((await health(hanging))?.Status).toBe("starting");
  const last = (await health(healthy))?.Log?.at(-1)?.End;
  await until(async () => (await health(healthy))?.Log?.at(-1)?.End !== last, "it is checked again");
  for (const id of [healthy, hanging]) await engine.containers.remove(id, { force: true, volumes: true, link: false });
});
