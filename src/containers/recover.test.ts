import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { script } from "./testing/bodies.ts";
import { type Engine, startEngine, until } from "./testing/engine.ts";
import { eventsOf, logText, make, makeAndStart, run } from "./testing/run.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.dispose());

const state = async (id: string) => (await engine.containers.inspect(id, false)).State;
const force = { force: true, volumes: true, link: false };

test("what runs goes on, what ended meanwhile has its code, and no line of the log is missing", async () => {
  const runs = await makeAndStart(
    engine,
    script("i=0; while [ $i -lt 1000000 ]; do echo $i; i=$((i+1)); sleep 0.01; done"),
  );
  const ends = await makeAndStart(engine, script("while [ ! -e /tmp/go ]; do sleep 0.02; done; exit 42"));
  const removed = await makeAndStart(engine, script("while [ ! -e /tmp/go ]; do sleep 0.02; done"), {
    AutoRemove: true,
  });
  const pid = (await state(runs)).Pid;
  const roots = [ends, removed].map((id) => join(engine.directory, "exec/rootfs", id, "tmp/go"));
  const pids = [(await state(ends)).Pid, (await state(removed)).Pid];
  engine = await engine.crash(async () => {
    for (const root of roots) await Bun.write(root, "");
    await Promise.all(pids.map((one) => engine.host.processes.ended(one)));
  });
  expect(await state(runs)).toMatchObject({ Running: true, Pid: pid });
  expect(engine.networks.live).toEqual(new Set([runs]));
  await until(async () => (await state(ends)).Status === "exited", "the exit is collected");
  expect((await state(ends)).ExitCode).toBe(42);
  expect(eventsOf(engine, ends)).toContain("die 42");
  await until(
    () =>
      engine.containers.inspect(removed, false).then(
        () => false,
        () => true,
      ),
    "--rm is done by the next daemon",
  );
  await until(async () => (await logText(engine, runs)).split("\n").length > 20, "lines come");
  const lines = (await logText(engine, runs)).trimEnd().split("\n").map(Number);
  expect(lines).toEqual(lines.map((_, at) => at));
  await engine.containers.stop(runs, { timeout: 0 });
  expect((await state(runs)).ExitCode).toBe(137);
});

test("half-done things are undone or finished", async () => {
  const creating = await make(engine, {}, {});
  const removing = await make(engine, {}, {});
  const starting = await make(engine, {}, {});
  const lost = await make(engine, {}, {});
  const stale = "f".repeat(64);
  engine = await engine.crash(async (db) => {
    const phase = (id: string, value: string) =>
      db.write((tx) => tx.run("UPDATE containers SET phase = ? WHERE id = ?", [value, id]));
    phase(creating, "creating");
    phase(removing, "removing");
    phase(lost, "running");
    mkdirSync(join(engine.directory, "exec/rootfs", starting));
    engine.host.mounts.mount(
      { type: "tmpfs", source: "x", options: [] },
      join(engine.directory, "exec/rootfs", starting),
    );
    mkdirSync(join(engine.directory, "containers", stale));
  });
  for (const id of [creating, removing]) {
    await expect(engine.containers.inspect(id, false)).rejects.toThrow("No such container");
    expect(existsSync(join(engine.directory, "containers", id))).toBe(false);
  }
  expect(existsSync(join(engine.directory, "containers", stale))).toBe(false);
  expect(await state(starting)).toMatchObject({ Status: "created" });
  expect(existsSync(join(engine.directory, "exec/rootfs", starting))).toBe(false);
  expect(await state(lost)).toMatchObject({ Status: "exited", ExitCode: 255 });
});

test("restart policies hold over the daemon's restart", async () => {
  const go = script("sleep 1000");
  const always = await makeAndStart(engine, go, { RestartPolicy: { Name: "always" } });
  const unlessStopped = await makeAndStart(engine, go, { RestartPolicy: { Name: "unless-stopped" } });
  const plain = await run(engine, script("true"));
  await engine.containers.stop(always, { timeout: 0 });
  await engine.containers.stop(unlessStopped, { timeout: 0 });
  engine = await engine.crash();
  await until(async () => (await state(always)).Running, "always means always");
  expect((await state(unlessStopped)).Running).toBe(false);
  expect((await state(plain.id)).Running).toBe(false);
  await engine.containers.remove(always, force);
});

test("what has --rm and does not run is removed, with its volumes", async () => {
  const made = await make(engine, { Image: "volumes" }, { AutoRemove: true });
  const ended = await make(engine, {}, { AutoRemove: true });
  engine = await engine.crash(async (db) => {
    // A restart that was cut off between the end of the process and its next start.
    db.write((tx) => tx.run("UPDATE containers SET phase = 'exited', started = created WHERE id = ?", [ended]));
  });
  for (const id of [made, ended]) {
    await expect(engine.containers.inspect(id, false)).rejects.toThrow("No such container");
    expect(existsSync(join(engine.directory, "containers", id))).toBe(false);
  }
  expect(engine.db.read((q) => q.all("SELECT * FROM volumes"))).toEqual([]);
});

test("what a commit froze when the daemon was killed is thawed; what a user paused stays so", async () => {
  const frozen = await makeAndStart(engine, script("sleep 1000"));
  const paused = await makeAndStart(engine, script("sleep 1000"));
  await engine.containers.pause(paused);
  engine = await engine.crash(async () => {
    const root = join(engine.directory, "exec/state");
    await engine.host.processes.run(["crun", "--root", root, "--cgroup-manager=cgroupfs", "pause", frozen]);
  });
  expect((await state(frozen)).Status).toBe("running");
  expect((await state(paused)).Status).toBe("paused");
  await engine.containers.stop(frozen, { timeout: 5, signal: "KILL" });
  await engine.containers.remove(paused, force);
});

test("a mount that cannot be taken away keeps no daemon from starting", async () => {
  const root = join(engine.directory, "exec/rootfs", "e".repeat(64));
  engine = await engine.crash(async () => {
    mkdirSync(root, { recursive: true });
    await Bun.write(join(root, "in the way"), "");
  });
  expect(existsSync(root)).toBe(true);
  engine = await engine.crash(async () => rmSync(join(root, "in the way")));
  expect(existsSync(root)).toBe(false);
});

test("a process whose container has no row is ended", async () => {
  const id = await makeAndStart(engine, script("sleep 1000"));
  const { Pid } = await state(id);
  const exit = join(engine.directory, "exec/exits", "d".repeat(64));
  engine = await engine.crash(async (db) => {
    db.write((tx) => tx.run("DELETE FROM containers WHERE id = ?", [id]));
    await Bun.write(exit, "0");
  });
  expect(existsSync(`/proc/${Pid}`)).toBe(false);
  expect(existsSync(join(engine.directory, "exec/state", id))).toBe(false);
  expect(existsSync(exit)).toBe(false);
});
