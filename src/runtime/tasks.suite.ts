import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isKind, messageOf } from "../errors/mod.ts";
import { nullLog } from "../log/mod.ts";
import { createFailure } from "./failure.ts";
import { openRuntime } from "./open.ts";
import { caught, exitOf, Lab } from "./testing/lab.ts";

/** Life and death of containers: what every OCI runtime below conmon must do for the engine. */
export function taskSuite(name: "crun" | "runc"): void {
  describe(`tasks with ${name}`, () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await Lab.open(name);
    });
    afterAll(() => lab[Symbol.asyncDispose]());

    test("says which runtime it chose and why", () => {
      expect(lab.runtime.info).toMatchObject({ name, reason: expect.stringContaining("was asked for") });
      expect(lab.runtime.info.conmonVersion).toMatch(/^\d+\.\d+/);
      expect(lab.runtime.info.version).toMatch(/^\d+\.\d+/);
      expect(existsSync(lab.runtime.info.path)).toBe(true);
    });

    test("a mount that cannot be made is the runtime's failure", async () => {
      const mounts = [{ type: "bind", source: "/nowhere/at/all", options: ["rbind"], destination: "/mnt" }];
      const err = await caught(lab.runtime.create(lab.bundle(["/bin/true"], { mounts })));
      expect(createFailure(err)?.exitCode).toBe(127);
      expect(messageOf(err)).toContain("no such file or directory");
    });

    test("refuses an id twice, a bad id, and a spec without a cgroup", async () => {
      const { id } = await lab.sleeper();
      const bundle = lab.bundle(["/bin/true"]);
      expect(isKind(await caught(lab.runtime.create({ ...bundle, id })), "conflict")).toBe(true);
      expect(isKind(await caught(lab.runtime.create({ ...bundle, id: "../x" })), "invalid")).toBe(true);
      const linux = { ...bundle.spec.linux, cgroupsPath: undefined };
      expect(isKind(await caught(lab.runtime.create({ ...bundle, spec: { ...bundle.spec, linux } })), "invalid")).toBe(
        true,
      );
      await lab.runtime.delete(id);
    });

    test("a monitor that ends without a word gets a successor, once", async () => {
      const failing = async (times: number) => {
        let left = times;
        const { processes } = lab.host;
        const spawn: typeof processes.spawn = (argv, options) =>
          processes.spawn(argv[0] === "conmon" && left-- > 0 ? ["sh", "-c", "exit 1"] : argv, options);
        const host = { ...lab.host, processes: { ...processes, spawn } };
        const execRoot = join(lab.directory, `failing-${times}`);
        const { cgroupParent } = lab;
        return openRuntime({ host, log: nullLog, execRoot, cgroupParent, runtime: name });
      };
      const once = await failing(1);
      const bundle = lab.bundle(["/bin/sh", "-c", "exit 6"]);
      await once.create(bundle);
      const exit = exitOf(once, bundle.id);
      await once.start(bundle.id);
      expect((await exit).code).toBe(6);
      await once.delete(bundle.id);
      const twice = await failing(2);
      const refused = await caught(twice.create(lab.bundle(["/bin/true"])));
      expect(messageOf(refused)).toContain("conmon ended with code 1 before it started anything");
    });

    test("signals reach it, and are refused when it is gone", async () => {
      const bundle = lab.bundle(["/bin/sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done"]);
      await lab.runtime.create(bundle);
      const streams = await lab.runtime.attach(bundle.id);
      await lab.runtime.start(bundle.id);
      for await (const _ of streams?.output ?? []) break;
      const exit = exitOf(lab.runtime, bundle.id);
      await lab.runtime.signal(bundle.id, 15, "init");
      expect((await exit).code).toBe(5);
      expect(isKind(await caught(lab.runtime.signal(bundle.id, 15, "init")), "not-found")).toBe(true);
      expect(isKind(await caught(lab.runtime.signal(bundle.id, 99, "init")), "invalid")).toBe(true);
      expect(isKind(await caught(lab.runtime.signal("none", 15, "init")), "not-found")).toBe(true);
      await lab.runtime.delete(bundle.id);
      const { id } = await lab.sleeper();
      const killed = exitOf(lab.runtime, id);
      await lab.runtime.signal(id, 9, "all");
      expect((await killed).code).toBe(137);
      await lab.runtime.delete(id);
    });

    test("freezes and thaws; a kill ends a frozen one", async () => {
      const { id, task } = await lab.sleeper();
      await lab.runtime.freeze(id, true);
      expect((await lab.runtime.recover()).length).toBe(0);
      await lab.runtime.freeze(id, false);
      await lab.runtime.freeze(id, true);
      const exit = exitOf(lab.runtime, id);
      await lab.runtime.signal(id, 9, "init");
      expect((await exit).code).toBe(137);
      await lab.host.processes.ended(task.pid);
      await lab.runtime.delete(id);
      const other = await lab.sleeper();
      await lab.runtime.freeze(other.id, true);
      await lab.runtime.delete(other.id);
      expect(lab.host.cgroups.pids(`${lab.cgroupParent}/${other.id}`)).toEqual([]);
    });

    test("delete kills what runs, also before it was started", async () => {
      const created = lab.bundle(["/bin/true"]);
      const { pid } = await lab.runtime.create(created);
      await lab.runtime.delete(created.id);
      await lab.host.processes.ended(pid);
      const { id, task } = await lab.sleeper();
      await lab.runtime.delete(id);
      await lab.host.processes.ended(task.pid);
      expect(existsSync(`/proc/${task.monitorPid}/exe`)).toBe(false);
    });
  });
}
