import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RecoveredTask, Runtime } from "./runtime.ts";
import { exitOf, Lab, outputOf, until } from "./testing/lab.ts";

/** crun's own execs are our children: when the daemon that started them is gone, nobody learns how they ended. */
const unknownCode = 255;

/** What happens when a monitor, a listener or the daemon is gone. */
export function recoverSuite(name: "crun" | "runc"): void {
  describe(`recovery with ${name}`, () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await Lab.open(name);
    });
    afterAll(() => lab[Symbol.asyncDispose]());

    test("a monitor that is killed takes its container along, which is told as killed", async () => {
      const { id, task } = await lab.sleeper();
      const exit = exitOf(lab.runtime, id);
      process.kill(task.monitorPid, "SIGKILL");
      expect(await exit).toMatchObject({ id, code: 137 });
      expect(lab.host.cgroups.pids(`${lab.cgroupParent}/${id}`)).toEqual([]);
      await lab.runtime.delete(id);
    });

    test("exits wait for a listener, and are told once", async () => {
      const bundle = lab.bundle(["/bin/sh", "-c", "exit 4"]);
      const { output } = await lab.run(bundle);
      await output;
      await until(() => existsSync(join(lab.directory, "exec/exits", bundle.id)));
      expect((await exitOf(lab.runtime, bundle.id)).code).toBe(4);
      const abort = new AbortController();
      const again = Array.fromAsync(lab.runtime.exits(abort.signal));
      abort.abort();
      expect(await again).toEqual([]);
      await lab.runtime.delete(bundle.id);
    });

    describe("the next daemon", () => {
      async function next(): Promise<{ runtime: Runtime; found: Map<string, RecoveredTask> }> {
        const runtime = await lab.reopen();
        const found = await runtime.recover();
        return { runtime, found: new Map(found.map((task) => [task.id, task])) };
      }

      test("adopts what runs, in every state, and hears of its end", async () => {
        const running = await lab.sleeper();
        const paused = await lab.sleeper();
        await lab.runtime.freeze(paused.id, true);
        const created = lab.bundle(["/bin/sh", "-c", "exit 3"]);
        await lab.runtime.create(created);
        const go = join(lab.rootfs, "tmp", "go");
        const script = "while ! [ -e /tmp/go ]; do sleep 0.05; done; exit 6";
        const request = lab.exec(running.id, ["/bin/sh", "-c", script], { attach: false });
        await lab.runtime.exec(request);
        const { runtime, found } = await next();
        expect(found.get(running.id)).toEqual({
          id: running.id,
          kind: "container",
          state: "running",
          pid: running.task.pid,
        });
        expect(found.get(paused.id)).toMatchObject({ state: "paused", pid: paused.task.pid });
        expect(found.get(created.id)).toMatchObject({ state: "created" });
        expect(found.get(request.execId)).toMatchObject({ state: "running" });
        writeFileSync(go, "");
        // The earlier runtime lives on in this process, and reaps its child; the next one only sees it go.
        expect((await exitOf(runtime, request.execId)).code).toBe(name === "crun" ? unknownCode : 6);
        rmSync(go);
        await runtime.start(created.id);
        expect((await exitOf(runtime, created.id)).code).toBe(3);
        await runtime.signal(paused.id, 9, "init");
        expect((await exitOf(runtime, paused.id)).code).toBe(137);
        const task = await runtime.exec(lab.exec(running.id, ["/bin/echo", "still"]));
        expect((await outputOf(task.streams)).stdout).toBe("still\n");
        for (const id of [running.id, paused.id, created.id]) await runtime.delete(id);
        expect(readdirSync(join(lab.directory, "exec/tasks"))).toEqual([]);
      });

      test("collects what ended after a kill -9 of the daemon", async () => {
        // The container must outlast its exec, however long that takes to start on a busy machine.
        const bundle = lab.bundle(["/bin/sh", "-c", "sleep 3; echo late; exit 21"]);
        const exec = lab.exec(bundle.id, ["/bin/sh", "-c", "sleep 0.2; echo heard by nobody; exit 22"]);
        const options = { execRoot: join(lab.directory, "exec"), cgroupParent: lab.cgroupParent, runtime: name };
        const doomed = join(import.meta.dir, "testing/doomed.ts");
        const stdin = JSON.stringify({ options, bundle, exec });
        const { code } = await lab.host.processes.run([process.execPath, doomed], { stdin });
        expect(code).toBe(137);
        await until(() => existsSync(join(lab.directory, "exec/exits", bundle.id)));
        const { runtime, found } = await next();
        for (const [id, wanted] of [
          [bundle.id, 21],
          [exec.execId, name === "crun" ? unknownCode : 22],
        ] as const) {
          const exit = found.get(id)?.exit ?? (await exitOf(runtime, id));
          expect(exit.code).toBe(wanted);
        }
        expect(readFileSync(join(bundle.directory, "log"), "utf8")).toContain("stdout F late");
        await runtime.delete(bundle.id);
        expect(readdirSync(join(lab.directory, "exec/tasks"))).toEqual([]);
      });

      test("finds exits that nobody has seen, and says so until they are deleted", async () => {
        const bundle = lab.bundle(["/bin/sh", "-c", "exit 8"]);
        const { output } = await lab.run(bundle);
        await output;
        await until(() => existsSync(join(lab.directory, "exec/exits", bundle.id)));
        for (let again = 0; again < 2; again++) {
          const { found } = await next();
          expect(found.get(bundle.id)).toMatchObject({ state: "exited", exit: { code: 8, kind: "container" } });
        }
        await lab.runtime.delete(bundle.id);
        expect((await next()).found.size).toBe(0);
      });

      test("ends a container whose monitor was killed meanwhile", async () => {
        const { id, task } = await lab.sleeper();
        process.kill(task.monitorPid, "SIGKILL");
        const { runtime, found } = await next();
        // The earlier runtime lives on in this process and may have killed the container first: then nobody knows how it ended.
        const exit = found.get(id)?.exit ?? (await exitOf(runtime, id));
        expect([137, 255]).toContain(exit.code);
        expect(lab.host.cgroups.pids(`${lab.cgroupParent}/${id}`)).toEqual([]);
        await runtime.delete(id);
      });

      test("removes what belongs to nobody, and survives a torn record", async () => {
        const { id, task } = await lab.sleeper();
        writeFileSync(join(lab.directory, "exec/tasks", `${id}.json`), "{");
        const { found } = await next();
        expect(found.size).toBe(0);
        await lab.host.processes.ended(task.pid);
        expect(readdirSync(join(lab.directory, "exec/state", lab.name))).toEqual([]);
      });
    });
  });
}
