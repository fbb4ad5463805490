import { expect, test } from "bun:test";
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exitOf, Lab, outputOf } from "../testing/lab.ts";

const other = Bun.which("runc") === null ? "crun" : "runc";

/** As a version left it that knew one OCI runtime: state beside each other, records without a runtime. */
function turnBack(lab: Lab): void {
  const exec = join(lab.directory, "exec");
  for (const name of ["crun", other])
    for (const id of readdirSync(join(exec, "state", name)))
      renameSync(join(exec, "state", name, id), join(exec, "state", id));
  for (const file of readdirSync(join(exec, "tasks"))) {
    const { runtime: _, ...record } = JSON.parse(readFileSync(join(exec, "tasks", file), "utf8"));
    writeFileSync(join(exec, "tasks", file), JSON.stringify(record));
  }
}

test("what an earlier version left runs on, whichever runtime it had", async () => {
  await using lab = await Lab.open("crun");
  const running = await lab.sleeper();
  const created = lab.bundle(["/bin/sh", "-c", "exit 3"], { bundle: { runtime: other } });
  await lab.runtime.create(created);
  const paused = lab.bundle(["/bin/sleep", "1000"], { bundle: { runtime: other } });
  await lab.run(paused);
  await lab.runtime.freeze(paused.id, true);
  turnBack(lab);
  const runtime = await lab.reopen();
  const found = new Map((await runtime.recover()).map(({ id, state }) => [id, state]));
  expect(Object.fromEntries(found)).toEqual({
    [running.id]: "running",
    [created.id]: "created",
    [paused.id]: "paused",
  });
  const { streams } = await runtime.exec(lab.exec(running.id, ["/bin/echo", "still"]));
  expect((await outputOf(streams)).stdout).toBe("still\n");
  await runtime.start(created.id);
  expect((await exitOf(runtime, created.id)).code).toBe(3);
  await runtime.freeze(paused.id, false);
  for (const id of [running.id, created.id, paused.id]) await runtime.delete(id);
  for (const place of ["tasks", "state/crun", `state/${other}`])
    expect(readdirSync(join(lab.directory, "exec", place))).toEqual([]);
});

test("a crash in the middle of it loses nothing", async () => {
  await using lab = await Lab.open("crun");
  const { id } = await lab.sleeper();
  turnBack(lab);
  const state = join(lab.directory, "exec/state");
  renameSync(join(state, id), join(state, "crun", id)); // the state was moved, its record was not yet rewritten
  const runtime = await lab.reopen();
  expect(await runtime.recover()).toMatchObject([{ id, state: "running" }]);
  await runtime.delete(id);
});
