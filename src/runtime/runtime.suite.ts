import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isKind, messageOf } from "../errors/mod.ts";
import { createFailure } from "./failure.ts";
import type { Bundle, RecoveredTask, Runtime, SpecInput, Task } from "./runtime.ts";
import { exitOf, Lab, outputOf, plainInput } from "./testing/lab.ts";

async function caught(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {
      throw new Error("nothing was thrown");
    },
    (err: unknown) => err,
  );
}

/** Waits for something that no event tells. */
async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 500) throw new Error("it did not come true");
    await Bun.sleep(10);
  }
}

const never = new AbortController().signal;

/** What every OCI runtime below conmon must do for the engine. */
export function runtimeSuite(name: "crun" | "runc"): void {
  describe(`runtime with ${name}`, () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await Lab.open(name);
    });
    afterAll(() => lab[Symbol.asyncDispose]());

    async function run(bundle: Bundle): Promise<{ task: Task; output: ReturnType<typeof outputOf> }> {
      const task = await lab.runtime.create(bundle);
      const output = outputOf(await lab.runtime.attach(bundle.id));
      await lab.runtime.start(bundle.id);
      return { task, output };
    }

    /** Runs a shell script to its end and gives its output. */
    async function shell(script: string, change: Partial<SpecInput> = {}) {
      const bundle = lab.bundle(["/bin/sh", "-c", script], change);
      const exit = exitOf(lab.runtime, bundle.id);
      const { output } = await run(bundle);
      const text = await output;
      const { code } = await exit;
      await lab.runtime.delete(bundle.id);
      return { ...text, code };
    }

    async function sleeper(change: Partial<SpecInput> = {}): Promise<{ id: string; task: Task }> {
      const bundle = lab.bundle(["/bin/sleep", "1000"], change);
      const { task, output } = await run(bundle);
      output.catch(() => undefined);
      return { id: bundle.id, task };
    }

    test("says which runtime it chose and why", () => {
      expect(lab.runtime.info).toMatchObject({ name, reason: expect.stringContaining("was asked for") });
      expect(lab.runtime.info.conmonVersion).toMatch(/^\d+\.\d+/);
      expect(lab.runtime.info.version).toMatch(/^\d+\.\d+/);
      expect(existsSync(lab.runtime.info.path)).toBe(true);
    });

    test("create, start, output apart, exit code, log, delete leaves nothing", async () => {
      const bundle = lab.bundle(["/bin/sh", "-c", "echo out; echo err >&2; printf half; exit 7"]);
      const exit = exitOf(lab.runtime, bundle.id);
      const before = Date.now() - 1000;
      const { task, output } = await run(bundle);
      expect(task.pid).toBeGreaterThan(0);
      expect(await output).toEqual({ stdout: "out\nhalf", stderr: "err\n" });
      const told = await exit;
      expect(told).toMatchObject({ id: bundle.id, kind: "container", code: 7, oomKilled: false });
      expect(told.at).toBeGreaterThan(before);
      const lines = readFileSync(join(bundle.directory, "log"), "utf8").trim().split("\n");
      expect(lines.map((line) => line.replace(/^\S+ /, "")).sort()).toEqual([
        "stderr F err",
        "stdout F out",
        "stdout P half",
      ]);
      expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z) /);
      expect(await lab.runtime.attach(bundle.id)).toBeUndefined();
      await lab.runtime.delete(bundle.id);
      expect(readdirSync(bundle.directory)).toEqual(["log"]);
      expect(lab.host.cgroups.pids(`${lab.cgroupParent}/${bundle.id}`)).toEqual([]);
      for (const kept of ["state", "exits", "tasks"]) {
        expect(readdirSync(join(lab.directory, "exec", kept)).filter((file) => file.includes(bundle.id))).toEqual([]);
      }
      await lab.runtime.delete(bundle.id);
    });

    test("is the process that the spec describes", async () => {
      const shown = await shell(
        'hostname; id -u; id -g; echo "$A $PWD"; grep -E "Seccomp:|NoNewPrivs" /proc/self/status',
        {
          hostname: "named",
          noNewPrivileges: true,
          process: {
            ...plainInput.process,
            args: [
              "/bin/sh",
              "-c",
              'hostname; id -u; id -g; echo "$A $PWD"; grep -E "^Seccomp:|^NoNewPrivs" /proc/self/status',
            ],
            uid: 12,
            gid: 34,
            env: ["PATH=/bin", "A=b"],
            cwd: "/tmp",
          },
        },
      );
      expect(shown.stdout.trim().split("\n")).toEqual(["named", "12", "34", "b /tmp", "NoNewPrivs:\t1", "Seccomp:\t2"]);
    });

    test("seccomp denies by EPERM, also with a filter that was compiled before", async () => {
      for (let again = 0; again < 2; again++) {
        const { stdout } = await shell("/bin/busybox unshare -U true 2>&1; /bin/busybox mount -t tmpfs x /tmp 2>&1");
        expect(stdout).toContain("unshare");
        expect(stdout.match(/not permitted|denied/gi)?.length).toBe(2);
      }
    });

    test("a command that is missing, no file, or not executable is refused in Docker's words", async () => {
      const failures = {
        nosuch: [127, 'exec: "nosuch": executable file not found in $PATH: unknown'],
        "/nope": [127, 'exec: "/nope": stat /nope: no such file or directory: unknown'],
        "/etc/data": [126, 'exec: "/etc/data": permission denied: unknown'],
        "/etc": [126, 'exec: "/etc": permission denied: unknown'],
      } as const;
      for (const [program, [exitCode, message]] of Object.entries(failures)) {
        const bundle = lab.bundle([program]);
        const err = await caught(lab.runtime.create(bundle));
        expect(isKind(err, "invalid")).toBe(true);
        expect(createFailure(err)).toEqual({
          exitCode,
          message: `failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ${message}`,
        });
        expect(readdirSync(bundle.directory)).toEqual(["log"]);
        expect(lab.host.cgroups.pids(`${lab.cgroupParent}/${bundle.id}`)).toEqual([]);
      }
    });

    test("a mount that cannot be made is the runtime's failure", async () => {
      const mounts = [{ type: "bind", source: "/nowhere/at/all", options: ["rbind"], destination: "/mnt" }];
      const err = await caught(lab.runtime.create(lab.bundle(["/bin/true"], { mounts })));
      expect(createFailure(err)?.exitCode).toBe(127);
      expect(messageOf(err)).toContain("no such file or directory");
    });

    test("refuses an id twice, a bad id, and a spec without a cgroup", async () => {
      const { id } = await sleeper();
      const bundle = lab.bundle(["/bin/true"]);
      expect(isKind(await caught(lab.runtime.create({ ...bundle, id })), "conflict")).toBe(true);
      expect(isKind(await caught(lab.runtime.create({ ...bundle, id: "../x" })), "invalid")).toBe(true);
      const linux = { ...bundle.spec.linux, cgroupsPath: undefined };
      expect(isKind(await caught(lab.runtime.create({ ...bundle, spec: { ...bundle.spec, linux } })), "invalid")).toBe(
        true,
      );
      await lab.runtime.delete(id);
    });

    test("stdin: much goes in, half-close ends it, output still comes", async () => {
      const bundle = lab.bundle(["/bin/sh", "-c", "wc -c; echo after"], { bundle: { stdin: "once" } } as object);
      await lab.runtime.create(bundle);
      const streams = await lab.runtime.attach(bundle.id);
      await lab.runtime.start(bundle.id);
      const output = outputOf(streams);
      await streams?.write(Buffer.alloc(1_000_000, "x"));
      streams?.closeStdin();
      expect((await output).stdout).toBe("1000000\nafter\n");
      expect((await exitOf(lab.runtime, bundle.id)).code).toBe(0);
      await lab.runtime.delete(bundle.id);
    });

    test("stdin that stays open outlives a connection", async () => {
      const bundle = lab.bundle(["/bin/head", "-n", "2"], { bundle: { stdin: "open" } } as object);
      await lab.runtime.create(bundle);
      const first = await lab.runtime.attach(bundle.id);
      await lab.runtime.start(bundle.id);
      await first?.write(Buffer.from("one\n"));
      first?.[Symbol.dispose]();
      const second = await lab.runtime.attach(bundle.id);
      const output = outputOf(second);
      await second?.write(Buffer.from("two\n"));
      expect((await output).stdout).toContain("two\n");
      await lab.runtime.delete(bundle.id);
    });

    test("a terminal has its first size and follows resizes", async () => {
      const script = "stty size; read x; stty size; read x; stty size; [ -t 1 ] && echo tty";
      const change = { bundle: { terminal: true, stdin: "open", size: { rows: 11, columns: 22 } } } as object;
      const bundle = lab.bundle(["/bin/sh", "-c", script], change);
      await lab.runtime.create(bundle);
      const streams = await lab.runtime.attach(bundle.id);
      await lab.runtime.start(bundle.id);
      let seen = "";
      const reading = (async () => {
        for await (const { stream, bytes } of streams?.output ?? []) {
          expect(stream).toBe("stdout");
          seen += Buffer.from(bytes).toString();
        }
      })();
      await until(() => seen.includes("11 22"));
      await Promise.all([
        lab.runtime.resize(bundle.id, { rows: 5, columns: 6 }),
        lab.runtime.resize(bundle.id, { rows: 33, columns: 44 }),
      ]);
      const size = lab.exec(bundle.id, ["/bin/sh", "-c", "stty size < /dev/console || true"]);
      (await lab.runtime.exec(size)).streams?.[Symbol.dispose]();
      await Bun.sleep(30); // conmon applies what it has read; nothing tells when
      await streams?.write(Buffer.from("\n"));
      await until(() => seen.includes("33 44"));
      await streams?.write(Buffer.from("\n"));
      await reading;
      expect(seen).toContain("tty");
      await exitOf(lab.runtime, bundle.id);
      expect(isKind(await caught(lab.runtime.resize(bundle.id, { rows: 1, columns: 1 })), "not-found")).toBe(true);
      await lab.runtime.delete(bundle.id);
    });

    test("exec: streams, stdin, exit code; its exit is told apart", async () => {
      const { id } = await sleeper();
      const request = lab.exec(id, ["/bin/sh", "-c", "cat; echo err >&2; exit 9"], { stdin: true });
      const exit = exitOf(lab.runtime, request.execId);
      const { streams, pid } = await lab.runtime.exec(request);
      expect(pid).toBeGreaterThan(0);
      await streams?.write(Buffer.from("through"));
      streams?.closeStdin();
      expect(await outputOf(streams)).toEqual({ stdout: "through", stderr: "err\n" });
      expect(await exit).toMatchObject({ kind: "exec", code: 9, oomKilled: false });
      await lab.runtime.deleteExec(request.execId);
      expect(existsSync(request.directory)).toBe(false);
      await lab.runtime.delete(id);
    });

    test("exec with a terminal has its size from the start", async () => {
      const { id } = await sleeper();
      const request = lab.exec(id, ["/bin/sh", "-c", "stty size"], { terminal: true, size: { rows: 7, columns: 9 } });
      const { streams } = await lab.runtime.exec(request);
      expect((await outputOf(streams)).stdout).toBe("7 9\r\n");
      await lab.runtime.delete(id);
    });

    test("exec without a client runs, and a wrong command is refused", async () => {
      const { id } = await sleeper();
      const request = lab.exec(id, ["/bin/touch", "/tmp/touched"], { attach: false });
      const exit = exitOf(lab.runtime, request.execId);
      expect((await lab.runtime.exec(request)).streams).toBeUndefined();
      expect((await exit).code).toBe(0);
      expect(existsSync(join(lab.rootfs, "tmp/touched"))).toBe(true);
      for (const attach of [true, false]) {
        const wrong = lab.exec(id, ["nosuch"], { attach });
        const err = await caught(lab.runtime.exec(wrong));
        expect(createFailure(err)).toEqual({
          exitCode: 127,
          message:
            'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown',
        });
        expect(existsSync(wrong.directory)).toBe(false);
      }
      await lab.runtime.delete(id);
    });

    test("an exec ends with its process, also when a child of it keeps the output open", async () => {
      const { id } = await sleeper();
      const request = lab.exec(id, ["/bin/sh", "-c", "sleep 1000 & echo up; exit 3"]);
      const exit = exitOf(lab.runtime, request.execId);
      const { streams } = await lab.runtime.exec(request);
      expect((await outputOf(streams)).stdout).toBe("up\n");
      expect((await exit).code).toBe(3);
      await lab.runtime.delete(id);
    });

    test("an exec that runs cannot be forgotten, one whose container ended is", async () => {
      const { id } = await sleeper();
      const request = lab.exec(id, ["/bin/sleep", "1000"]);
      const { streams } = await lab.runtime.exec(request);
      expect(isKind(await caught(lab.runtime.deleteExec(request.execId)), "conflict")).toBe(true);
      await lab.runtime.delete(id);
      await outputOf(streams);
      expect(existsSync(request.directory)).toBe(false);
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
      const { id } = await sleeper();
      const killed = exitOf(lab.runtime, id);
      await lab.runtime.signal(id, 9, "all");
      expect((await killed).code).toBe(137);
      await lab.runtime.delete(id);
    });

    test("freezes and thaws; a kill ends a frozen one", async () => {
      const { id, task } = await sleeper();
      await lab.runtime.freeze(id, true);
      expect((await lab.runtime.recover()).length).toBe(0);
      await lab.runtime.freeze(id, false);
      await lab.runtime.freeze(id, true);
      const exit = exitOf(lab.runtime, id);
      await lab.runtime.signal(id, 9, "init");
      expect((await exit).code).toBe(137);
      await lab.host.processes.ended(task.pid);
      await lab.runtime.delete(id);
      const other = await sleeper();
      await lab.runtime.freeze(other.id, true);
      await lab.runtime.delete(other.id);
      expect(lab.host.cgroups.pids(`${lab.cgroupParent}/${other.id}`)).toEqual([]);
    });

    test("limits are in the cgroup, and change while it runs", async () => {
      const resources = {
        ...plainInput.resources,
        memory: 64 << 20,
        nanoCpus: 5e8,
        pidsLimit: 33,
        cpuShares: 512,
        cpusetCpus: "0",
      };
      const { id } = await sleeper({ resources });
      const usage = () => lab.host.cgroups.usage(`${lab.cgroupParent}/${id}`);
      expect(usage().memory.limit).toBe(64 << 20);
      expect(usage().pids).toEqual({ current: 1, limit: 33 });
      await lab.runtime.limit(id, { pids: { limit: 44 }, memory: { limit: 128 << 20, swap: 256 << 20 } });
      expect(usage().memory.limit).toBe(128 << 20);
      expect(usage().pids.limit).toBe(44);
      expect(isKind(await caught(lab.runtime.limit(id, { cpu: { cpus: "4096" } })), "internal")).toBe(true);
      await lab.runtime.delete(id);
    });

    test("says that the kernel killed it for memory", async () => {
      const resources = { ...plainInput.resources, memory: 16 << 20, memorySwap: 16 << 20 };
      const bundle = lab.bundle(["/bin/sh", "-c", "head -c 100000000 /dev/zero | tail -c 90000000; exit 3"], {
        resources,
      });
      const exit = exitOf(lab.runtime, bundle.id);
      const { output } = await run(bundle);
      await output;
      expect((await exit).oomKilled).toBe(true);
      await lab.runtime.delete(bundle.id);
    });

    test("mounts, a read-only root, an init, sysctls and devices are as asked", async () => {
      mkdirSync(join(lab.directory, "bound"), { recursive: true });
      writeFileSync(join(lab.directory, "bound/file"), "bound\n");
      const bound = {
        type: "bind",
        source: join(lab.directory, "bound"),
        options: ["rbind", "ro"],
        destination: "/mnt/b",
      };
      const tmpfs = { type: "tmpfs", source: "tmpfs", options: ["size=1m"], destination: "/mnt/t" };
      mkdirSync(join(lab.rootfs, "mnt/b"), { recursive: true });
      mkdirSync(join(lab.rootfs, "mnt/t"), { recursive: true });
      const script =
        "cat /mnt/b/file; touch /mnt/b/x || echo ro; touch /mnt/t/x && echo rw; touch /x || echo root; cat /proc/sys/kernel/domainname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/self/limits | grep -c 'open files  *500 '; ls /dev/mynull";
      const node = { type: "c", major: 1, minor: 3, mode: 0o666, uid: 0, gid: 0 } as const;
      const shown = await shell(script, {
        mounts: [bound, tmpfs],
        readonlyRootfs: true,
        domainname: "example.test",
        rlimits: [{ name: "nofile", soft: 500, hard: 1_000_000 }],
        devices: [{ hostPath: "/dev/null", containerPath: "/dev/mynull", permissions: "rwm", node }],
      });
      expect(shown.stdout.trim().split("\n")).toEqual([
        "bound",
        "ro",
        "rw",
        "root",
        "example.test",
        "0",
        "1",
        "/dev/mynull",
      ]);
    });

    test("privileged has what the host has, and no more is asked for", async () => {
      const shown = await shell("grep CapEff /proc/self/status; touch /proc/sys/vm/swappiness && echo rw", {
        privileged: true,
      });
      const own = /CapEff:\s*(\S+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
      expect(shown.stdout).toBe(`CapEff:\t${own}\nrw\n`);
    });

    test("a log file that was renamed is followed by a new one", async () => {
      const bundle = lab.bundle(["/bin/sh", "-c", "echo one; read x; echo two"], {
        bundle: { stdin: "open" },
      } as object);
      await lab.runtime.create(bundle);
      const streams = await lab.runtime.attach(bundle.id);
      await lab.runtime.start(bundle.id);
      const output = outputOf(streams);
      const log = join(bundle.directory, "log");
      await until(() => readFileSync(log, "utf8").includes("one"));
      renameSync(log, `${log}.1`);
      await lab.runtime.reopenLog(bundle.id);
      await until(() => existsSync(log));
      await streams?.write(Buffer.from("\n"));
      await output;
      expect(readFileSync(log, "utf8")).toContain("stdout F two");
      expect(readFileSync(`${log}.1`, "utf8")).not.toContain("two");
      await lab.runtime.delete(bundle.id);
    });

    test("without a log path nothing is logged", async () => {
      const bundle = lab.bundle(["/bin/echo", "unheard"]);
      const { logPath: _, ...unlogged } = bundle;
      const { output } = await run(unlogged);
      expect((await output).stdout).toBe("unheard\n");
      expect(existsSync(join(bundle.directory, "log"))).toBe(false);
      await lab.runtime.delete(bundle.id);
    });

    test("delete kills what runs, also before it was started", async () => {
      const created = lab.bundle(["/bin/true"]);
      const { pid } = await lab.runtime.create(created);
      await lab.runtime.delete(created.id);
      await lab.host.processes.ended(pid);
      const { id, task } = await sleeper();
      await lab.runtime.delete(id);
      await lab.host.processes.ended(task.pid);
      expect(existsSync(`/proc/${task.monitorPid}/exe`)).toBe(false);
    });

    test("a monitor that is killed takes its container along, which is told as killed", async () => {
      const { id, task } = await sleeper();
      const exit = exitOf(lab.runtime, id);
      process.kill(task.monitorPid, "SIGKILL");
      expect(await exit).toMatchObject({ id, code: 137 });
      expect(lab.host.cgroups.pids(`${lab.cgroupParent}/${id}`)).toEqual([]);
      await lab.runtime.delete(id);
    });

    test("exits wait for a listener, and are told once", async () => {
      const bundle = lab.bundle(["/bin/sh", "-c", "exit 4"]);
      const { output } = await run(bundle);
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
        const running = await sleeper();
        const paused = await sleeper();
        await lab.runtime.freeze(paused.id, true);
        const created = lab.bundle(["/bin/sh", "-c", "exit 3"]);
        await lab.runtime.create(created);
        const request = lab.exec(running.id, ["/bin/sh", "-c", "sleep 0.3; exit 6"], { attach: false });
        await lab.runtime.exec(request);
        const { runtime, found } = await next();
        expect(found.get(running.id)).toEqual({ id: running.id, state: "running", pid: running.task.pid });
        expect(found.get(paused.id)).toMatchObject({ state: "paused", pid: paused.task.pid });
        expect(found.get(created.id)).toMatchObject({ state: "created" });
        expect(found.get(request.execId)).toMatchObject({ state: "running" });
        expect((await exitOf(runtime, request.execId)).code).toBe(6);
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
        const bundle = lab.bundle(["/bin/sh", "-c", "sleep 0.4; echo late; exit 21"]);
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
          [exec.execId, 22],
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
        const { output } = await run(bundle);
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
        const { id, task } = await sleeper();
        process.kill(task.monitorPid, "SIGKILL");
        const { runtime, found } = await next();
        // The earlier runtime lives on in this process and may have killed the container first: then nobody knows how it ended.
        const exit = found.get(id)?.exit ?? (await exitOf(runtime, id));
        expect([137, 255]).toContain(exit.code);
        expect(lab.host.cgroups.pids(`${lab.cgroupParent}/${id}`)).toEqual([]);
        await runtime.delete(id);
      });

      test("removes what belongs to nobody, and survives a torn record", async () => {
        const { id, task } = await sleeper();
        writeFileSync(join(lab.directory, "exec/tasks", `${id}.json`), "{");
        const { found } = await next();
        expect(found.size).toBe(0);
        await lab.host.processes.ended(task.pid);
        expect(readdirSync(join(lab.directory, "exec/state"))).toEqual([]);
      });
    });

    describe("runOnce", () => {
      async function once(bundle: Bundle, signal = never) {
        const text = { stdout: "", stderr: "" };
        const onOutput = (stream: "stdout" | "stderr", bytes: Uint8Array) => {
          text[stream] += Buffer.from(bytes).toString();
        };
        const { logPath: _, ...unlogged } = bundle;
        return { code: await lab.runtime.runOnce(unlogged, { onOutput, signal }), ...text };
      }

      test("gives output and exit code and leaves nothing", async () => {
        const bundle = lab.bundle(["/bin/sh", "-c", "echo out; echo err > /dev/stderr; exit 5"]);
        expect(await once(bundle)).toEqual({ code: 5, stdout: "out\n", stderr: "err\n" });
        expect(readdirSync(bundle.directory)).toEqual([]);
        expect(readdirSync(join(lab.directory, "exec/state"))).toEqual([]);
      });

      test("much output comes whole", async () => {
        const { stdout } = await once(lab.bundle(["/bin/head", "-c", "5000000", "/dev/zero"]));
        expect(stdout.length).toBe(5_000_000);
      });

      test("a missing program is refused as in create", async () => {
        const err = await caught(once(lab.bundle(["nosuch"])));
        expect(createFailure(err)?.exitCode).toBe(127);
        expect(messageOf(err)).toContain('exec: "nosuch": executable file not found in $PATH');
      });

      test("an abort kills it", async () => {
        const abort = new AbortController();
        const bundle = lab.bundle(["/bin/sh", "-c", "echo up; sleep 1000"]);
        const { logPath: _, ...unlogged } = bundle;
        const running = lab.runtime.runOnce(unlogged, { onOutput: () => abort.abort(), signal: abort.signal });
        expect(((await caught(running)) as Error).name).toBe("AbortError");
        expect(lab.host.cgroups.pids(`${lab.cgroupParent}/${bundle.id}`)).toEqual([]);
        expect(readdirSync(join(lab.directory, "exec/state"))).toEqual([]);
        expect(((await caught(once(lab.bundle(["/bin/true"]), abort.signal))) as Error).name).toBe("AbortError");
      });

      test("refuses what it does not do", async () => {
        const bundle = lab.bundle(["/bin/true"]);
        expect(
          isKind(
            await caught(lab.runtime.runOnce(bundle, { onOutput: () => undefined, signal: never })),
            "not-implemented",
          ),
        ).toBe(true);
      });
    });

    test("a program that is no program ends with its complaint on stderr", async () => {
      writeFileSync(join(lab.rootfs, "tmp/garbage"), "xx");
      chmodSync(join(lab.rootfs, "tmp/garbage"), 0o755);
      const bundle = lab.bundle(["/tmp/garbage"]);
      const exit = exitOf(lab.runtime, bundle.id);
      const outcome = await run(bundle).then(async ({ output }) => (await output).stderr, messageOf);
      expect(outcome.toLowerCase()).toContain("exec format error");
      expect((await exit).code).toBeGreaterThan(0);
      await lab.runtime.delete(bundle.id);
    });
  });
}
