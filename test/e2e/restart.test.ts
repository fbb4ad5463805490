import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { cli, type Engine, isOld, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { reboot } from "../support/reboot.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const inspect = async (id: string) => (await call(engine, `GET /containers/${id}/json`)).json;
const status = async (id: string): Promise<string> => (await inspect(id)).State.Status;
const becomes = (id: string, wanted: string) => until(`${id} is ${wanted}`, async () => (await status(id)) === wanted);
/** Long enough after its first ends that its next start is a while away. */
const waitsLong = (id: string) =>
  until(`${id} waits`, async () => {
    const { State, RestartCount } = await inspect(id);
    return State.Status === "restarting" && RestartCount >= 4;
  });
const remove = (...ids: string[]) => engine.ok("rm", "-f", "-v", ...ids);
const forever = ["busybox", "sleep", "1000"];
const failing = ["busybox", "sh", "-c", "exit 7"];

/** Runs containers by name, each with these flags and this command. */
async function make(wanted: Readonly<Record<string, readonly string[]>>): Promise<void> {
  for (const [name, argv] of Object.entries(wanted)) await engine.ok("run", "-d", "--name", name, ...argv);
}

describe.each(["a kill -9 of the daemon", "a reboot"] as const)("after %s", (what) => {
  const lose = what === "a reboot" ? () => reboot(engine) : () => engine.stop("SIGKILL").then(() => engine.start());
  const all = {
    always: ["--restart", "always", ...forever],
    "always-stopped": ["--restart", "always", ...forever],
    "unless-stopped": ["--restart", "unless-stopped", ...forever],
    "unless-stopped-stopped": ["--restart", "unless-stopped", ...forever],
    "on-failure": ["--restart", "on-failure", ...forever],
    "on-failure-done": ["--restart", "on-failure", "busybox", "true"],
    "on-failure-stopped": ["--restart", "on-failure", ...forever],
    waiting: ["--restart", "always", ...failing],
    plain: [...forever],
    "by-itself": ["--rm", ...forever],
  };

  test("policies decide what runs", async () => {
    await make(all);
    await engine.ok("create", "--name", "never-started", "--restart", "always", ...forever);
    const stopped = Object.keys(all).filter((name) => name.endsWith("-stopped") && name !== "unless-stopped");
    await engine.ok("stop", "-t", "0", ...stopped);
    await waitsLong("waiting");
    const pid = (await inspect("plain")).State.Pid;
    await lose();
    const rebooted = what === "a reboot";
    for (const name of ["always", "always-stopped", "unless-stopped", "on-failure"]) await becomes(name, "running");
    expect(await status("unless-stopped-stopped")).toBe("exited");
    expect(await status("on-failure-stopped")).toBe("exited");
    expect(await status("on-failure-done")).toBe("exited");
    expect(await status("never-started")).toBe("created");
    const plain = await inspect("plain");
    expect(plain.State).toMatchObject(rebooted ? { Status: "exited", ExitCode: 255 } : { Status: "running", Pid: pid });
    const count = (await inspect("waiting")).RestartCount;
    await until("it is tried again", async () => (await inspect("waiting")).RestartCount > count);
    expect((await call(engine, "GET /containers/by-itself/json")).status).toBe(rebooted ? 404 : 200);
    expect(await engine.ok("exec", "always", "echo", "it works")).toBe("it works");
    await remove(...(await engine.ok("ps", "-aq")).split("\n"));
  });
});

describe.each(["docker", "berth"] as const)("%s", (which) => {
  const one = (...argv: string[]) => cli(which, engine.host, argv);

  test("a policy changed while it runs, while it waits, and where it cannot be", async () => {
    const runs = (await one("run", "-d", "busybox", "sh", "-c", "sleep 0.7; exit 3")).stdout.trim();
    await one("update", "--restart", "on-failure:1", runs);
    expect((await one("wait", runs)).stdout).toBe("3\n");
    expect((await inspect(runs)).RestartCount).toBe(1);
    const waits = (await one("run", "-d", "--restart", "always", ...failing)).stdout.trim();
    await waitsLong(waits);
    expect(await one("update", "--restart", "no", waits)).toMatchObject({ code: 0 });
    await becomes(waits, "exited");
    expect((await inspect(waits)).HostConfig.RestartPolicy).toEqual({ Name: "no", MaximumRetryCount: 0 });
    const removed = (await one("run", "-d", "--rm", ...forever)).stdout.trim();
    expect((await one("update", "--restart", "always", removed)).stderr).toContain(
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    );
    await remove(runs, waits, removed);
  });

  test("a container that waits can be stopped, and removed by force", async () => {
    const id = (await one("run", "-d", "--restart", "always", ...failing)).stdout.trim();
    await waitsLong(id);
    expect((await one("pause", id)).stderr).toContain("is restarting, wait until the container is running");
    expect((await one("rm", id)).stderr).toContain("container is restarting: stop the container");
    expect((await one("stop", id)).code).toBe(0);
    expect(await status(id)).toBe("exited");
    await one("start", id);
    await waitsLong(id);
    expect((await one("rm", "-f", id)).code).toBe(0);
    const killed = (await one("run", "-d", "--restart", "always", ...failing)).stdout.trim();
    await waitsLong(killed);
    const waiting = one("wait", killed);
    expect((await one("kill", "-s", "HUP", killed)).code).toBe(0);
    expect(await status(killed)).toBe("exited");
    expect((await waiting).stdout).toBe("7\n");
    await remove(killed);
  });

  test("what is paused: killed, stopped, not started, removed by force", async () => {
    const id = (await one("run", "-d", ...forever)).stdout.trim();
    expect((await one("unpause", id)).stderr).toContain(`Container ${id} is not paused`);
    await one("pause", id);
    expect((await one("pause", id)).stderr).toContain(`Container ${id} is already paused`);
    expect((await one("start", id)).stderr).toContain("cannot start a paused container, try unpause instead");
    expect((await one("rm", id)).stderr).toContain("container is paused and must be unpaused first");
    expect((await one("kill", id)).code).toBe(0);
    expect((await inspect(id)).State).toMatchObject({ Status: "exited", Paused: false, ExitCode: 137 });
    await one("start", id);
    await one("pause", id);
    expect((await one("stop", "-t", "0", id)).code).toBe(0);
    expect(await status(id)).toBe("exited");
    expect((await one("pause", id)).stderr).toMatch(/is not running/);
    await one("start", id);
    await one("pause", id);
    expect((await one("rm", "-f", id)).code).toBe(0);
  });

  test("rename: errors, the event, and the new name at once", async () => {
    const [a, b] = [`a-${which}`, `b-${which}`];
    await one("create", "--name", a, ...forever);
    await one("create", "--name", b, ...forever);
    expect((await one("rename", a, b)).stderr).toContain(`The container name "/${b}" is already in use by container`);
    expect((await one("rename", a, a)).stderr).toContain("Renaming a container with the same name");
    expect((await one("rename", a, "b c")).stderr).toContain("only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    expect((await one("rename", "nosuch", "x")).stderr).toContain("No such container: nosuch");
    expect((await one("rename", a, `${a}-2`)).code).toBe(0);
    const filters = [
      "--filter",
      `container=${a}-2`,
      "--filter",
      "event=rename",
      "--format",
      "{{json .Actor.Attributes}}",
    ];
    const told = await one("events", "--since", "1h", "--until", String(Math.ceil(Date.now() / 1000)), ...filters);
    expect(JSON.parse(told.stdout)).toMatchObject({ name: `${a}-2`, oldName: `/${a}` });
    await remove(`${a}-2`, b);
  });

  test("prune: filters, and its event", async () => {
    await one("create", "--name", "kept", "--label", "keep=yes", ...forever);
    await one("create", "--name", "gone", "--label", "keep=no", ...forever);
    const prune = async (...filters: string[]) =>
      (await one("container", "prune", "-f", ...filters.flatMap((one) => ["--filter", one]))).stdout;
    expect(await prune("until=1h")).not.toContain("Deleted");
    expect(await prune("label=other")).not.toContain("Deleted");
    expect(await prune("label!=keep")).not.toContain("Deleted");
    expect(await prune("label!=keep=yes")).toContain("Deleted Containers:");
    expect(await engine.ok("ps", "-a", "--format", "{{.Names}}")).toBe("kept");
    expect((await one("container", "prune", "-f", "--filter", "color=red")).stderr).toContain("invalid filter 'color'");
    expect((await one("container", "prune", "-f", "--filter", "until=soon")).code).not.toBe(0);
    expect(await prune()).toContain("Deleted Containers:");
    const when = ["--since", "1h", "--until", String(Math.ceil(Date.now() / 1000))];
    const told = await one("events", ...when, "--filter", "type=container", "--filter", "event=prune");
    expect(told.stdout).toContain("reclaimed=");
  });

  test("a container whose image was removed starts", async () => {
    await engine.ok("tag", "busybox", "going");
    const id = (await one("create", "going", "echo", "still here")).stdout.trim();
    await engine.ok("rmi", "going");
    expect((await one("start", "-a", id)).stdout).toBe("still here\n");
    await remove(id);
  });

  test.skipIf(isOld(which))("--stop-signal and --stop-timeout, and stop's own words for both", async () => {
    const script = "trap 'exit 11' USR1; trap 'exit 12' USR2; echo ready; while :; do sleep 0.05; done";
    const flags = ["--stop-signal", "USR1", "--stop-timeout", "60"];
    const id = (await one("run", "-d", ...flags, "busybox", "sh", "-c", script)).stdout.trim();
    const ready = (count: number) =>
      until("it is ready", async () => (await engine.ok("logs", id)).split("ready").length > count);
    await ready(1);
    await one("stop", id);
    expect((await inspect(id)).State.ExitCode).toBe(11);
    await one("start", id);
    await ready(2);
    expect(await one("stop", "-s", "NOSUCH", id)).toMatchObject({ code: 1 });
    await one("stop", "-s", "USR2", "-t", "60", id);
    expect((await inspect(id)).State.ExitCode).toBe(12);
    expect((await one("stop", id)).code).toBe(0);
    await remove(id);
  });
});

test("rm -f takes what is in any state", async () => {
  await make({
    running: forever,
    paused: forever,
    exited: ["busybox", "true"],
    retried: ["--restart", "always", ...failing],
  });
  await engine.ok("pause", "paused");
  await engine.ok("create", "--name", "created", ...forever);
  await waitsLong("retried");
  await remove("running", "paused", "exited", "retried", "created");
  expect(await engine.ok("ps", "-aq")).toBe("");
});

test("--rm survives a restart, and goes with --restart nowhere", async () => {
  const id = await engine.ok("run", "-d", "--rm", ...forever);
  await engine.ok("restart", "-t", "0", id);
  expect(await status(id)).toBe("running");
  await engine.ok("stop", "-t", "0", id);
  await until("it is gone", async () => (await call(engine, `GET /containers/${id}/json`)).status === 404);
  const both = { Image: "busybox", HostConfig: { AutoRemove: true, RestartPolicy: { Name: "always" } } };
  expect((await call(engine, "POST /containers/create", both)).status).toBe(400);
});
