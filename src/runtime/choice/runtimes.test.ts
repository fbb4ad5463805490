import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { nullLog } from "../../log/mod.ts";
import type { RuntimeInfo } from "../runtime.ts";
import { Lab } from "../testing/lab.ts";
import { Runtimes } from "./runtimes.ts";

const both = ["crun", "runc"].every((name) => Bun.which(name) !== null);

describe.skipIf(!both)("a container with another runtime than the default", () => {
  test("is made, found again after a restart, changed and deleted by its own", async () => {
    await using lab = await Lab.open("crun");
    expect(lab.runtime.all.map(({ name }) => name)).toEqual(["crun", "runc"]);
    const bundle = lab.bundle(["/bin/sleep", "1000"], { bundle: { runtime: "runc" } });
    await lab.run(bundle);
    const plain = await lab.sleeper();
    const states = (name: string) => readdirSync(join(lab.directory, "exec/state", name));
    expect([states("runc"), states("crun")]).toEqual([[bundle.id], [plain.id]]);
    const runtime = await lab.reopen();
    const found = (await runtime.recover()).map(({ id, state }) => [id, state]);
    expect(found.sort()).toEqual(
      [
        [bundle.id, "running"],
        [plain.id, "running"],
      ].sort(),
    );
    await runtime.freeze(bundle.id, true);
    await runtime.limit(bundle.id, { resources: { pids: { limit: 9 } }, lift: [] });
    expect(lab.host.cgroups.usage(`${lab.cgroupParent}/${bundle.id}`).pids.limit).toBe(9);
    await runtime.freeze(bundle.id, false);
    const exec = lab.exec(bundle.id, ["/bin/true"]);
    await runtime.exec(exec);
    await runtime.delete(bundle.id);
    expect([states("runc"), states("crun")]).toEqual([[], [plain.id]]);
  });

  test("what a crash left of it is removed", async () => {
    await using lab = await Lab.open("crun");
    const bundle = lab.bundle(["/bin/sleep", "1000"], { bundle: { runtime: "runc" } });
    await lab.run(bundle);
    await Bun.$`rm ${join(lab.directory, "exec/tasks", `${bundle.id}.json`)}`;
    await (await lab.reopen()).recover();
    expect(readdirSync(join(lab.directory, "exec/state/runc"))).toEqual([]);
  });
});

test("one that does not work here says why, each time, and is probed once", async () => {
  await using lab = await Lab.open("crun");
  let probes = 0;
  const run = async () => {
    probes++;
    throw new EngineError("unavailable", "no such luck");
  };
  const host = { ...lab.host, processes: { ...lab.host.processes, run } };
  const info: RuntimeInfo = { ...lab.runtime.info, name: "crun" };
  const options = { host, log: nullLog, cgroupParent: lab.cgroupParent, directory: join(lab.directory, "probe") };
  const paths = { state: join(lab.directory, "other"), programs: join(lab.directory, "programs") };
  mkdirSync(paths.programs);
  const runtimes = await Runtimes.open(options, { info, paths });
  probes = 0; // one was for crun's sealed copy
  if (Bun.which("runc") === null) {
    expect(() => runtimes.get("runc")).toThrow("unknown or invalid runtime name: runc");
    return;
  }
  const why = "The OCI runtime runc does not work on this host: no such luck";
  await expect(runtimes.usable("runc")).rejects.toMatchObject({ kind: "unavailable", message: why });
  await expect(runtimes.usable("runc")).rejects.toThrow(why);
  expect(probes).toBe(1);
  expect((await runtimes.usable()).name).toBe("crun");
});
