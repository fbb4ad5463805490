import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, constants, existsSync, openSync, readdirSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { isKind } from "../errors/mod.ts";
import { createFailure } from "./failure.ts";
import type { TaskStreams } from "./runtime.ts";
import { caught, exitOf, Lab, outputOf, until } from "./testing/lab.ts";

async function send(streams: TaskStreams | undefined, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += 65_536) await streams?.write(bytes.subarray(at, at + 65_536));
  streams?.closeStdin();
}

async function digestOf(streams: TaskStreams | undefined): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const { bytes } of streams?.output ?? []) hash.update(bytes);
  return hash.digest("hex");
}

/** What goes in and comes out of containers and execs. */
export function streamSuite(name: "crun" | "runc"): void {
  describe(`streams with ${name}`, () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await Lab.open(name);
    });
    afterAll(() => lab[Symbol.asyncDispose]());

    test("create, start, output apart, exit code, log, delete leaves nothing", async () => {
      const bundle = lab.bundle(["/bin/sh", "-c", "echo out; echo err >&2; printf half; exit 7"]);
      const exit = exitOf(lab.runtime, bundle.id);
      const before = Date.now() - 1000;
      const { task, output } = await lab.run(bundle);
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
      for (const kept of [`state/${lab.name}`, "exits", "tasks"]) {
        expect(readdirSync(join(lab.directory, "exec", kept)).filter((file) => file.includes(bundle.id))).toEqual([]);
      }
      await lab.runtime.delete(bundle.id);
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
      const { id } = await lab.sleeper();
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

    test("exec with a terminal has its size without being told again, also on a busy machine", async () => {
      const { id } = await lab.sleeper();
      using busy = new DisposableStack();
      for (let count = 0; count < 4; count++) {
        const worker = lab.host.processes.spawn(["sh", "-c", "while kill -0 $PPID; do :; done"], { stdio: [] });
        busy.defer(() => worker.kill(9));
      }
      const change = { terminal: true, size: { rows: 7, columns: 9 } };
      for (let again = 0; again < 20; again++) {
        const { streams } = await lab.runtime.exec(lab.exec(id, ["/bin/stty", "size"], change));
        expect((await outputOf(streams)).stdout).toBe("7 9\r\n");
      }
      await lab.runtime.delete(id);
    });

    test("exec with a terminal: input, resize, and what is left in the background keeps nobody waiting", async () => {
      const { id } = await lab.sleeper();
      const script = "trap '' HUP; sleep 1000 & read x; stty size; echo $x; exit 4";
      const request = lab.exec(id, ["/bin/sh", "-c", script], { terminal: true, stdin: true });
      const exit = exitOf(lab.runtime, request.execId);
      const { streams } = await lab.runtime.exec(request);
      const output = outputOf(streams);
      await lab.runtime.resize(request.execId, { rows: 5, columns: 6 });
      await streams?.write(Buffer.from("typed\n"));
      expect((await output).stdout).toBe("typed\r\n5 6\r\ntyped\r\n");
      expect((await exit).code).toBe(4);
      await lab.runtime.delete(id);
    });

    test("exec: 20 MB in and out at once, byte for byte", async () => {
      const { id } = await lab.sleeper();
      const { streams } = await lab.runtime.exec(lab.exec(id, ["/bin/cat"], { stdin: true }));
      const sent = Buffer.alloc(20 << 20, "0123456789abcdef");
      const [digest] = await Promise.all([digestOf(streams), send(streams, sent)]);
      expect(digest).toBe(new Bun.CryptoHasher("sha256").update(sent).digest("hex"));
      await lab.runtime.delete(id);
    });

    test("exec: what is not read makes the process wait, and nothing is lost", async () => {
      const { id } = await lab.sleeper();
      const count = 32 << 20; // more than what conmon, the kernel and we keep in between
      const script = `head -c ${count} /dev/zero; touch /tmp/through`;
      const { streams } = await lab.runtime.exec(lab.exec(id, ["/bin/sh", "-c", script]));
      let taken = 0;
      for await (const { bytes } of streams?.output ?? []) {
        if (taken === 0) await Bun.sleep(300);
        if (taken === 0) expect(existsSync(join(lab.rootfs, "tmp/through"))).toBe(false);
        taken += bytes.length;
      }
      expect(taken).toBe(count);
      await lab.runtime.delete(id);
    });

    test("exec without a client runs, and a wrong command is refused", async () => {
      const { id } = await lab.sleeper();
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
      const { id } = await lab.sleeper();
      const request = lab.exec(id, ["/bin/sh", "-c", "sleep 1000 & echo up; exit 3"]);
      const exit = exitOf(lab.runtime, request.execId);
      const { streams } = await lab.runtime.exec(request);
      expect((await outputOf(streams)).stdout).toBe("up\n");
      expect((await exit).code).toBe(3);
      await lab.runtime.delete(id);
    });

    test("an exec that runs cannot be forgotten, one whose container ended is", async () => {
      const { id } = await lab.sleeper();
      const request = lab.exec(id, ["/bin/sleep", "1000"]);
      const { streams } = await lab.runtime.exec(request);
      expect(isKind(await caught(lab.runtime.deleteExec(request.execId)), "conflict")).toBe(true);
      await lab.runtime.delete(id);
      await outputOf(streams);
      expect(existsSync(request.directory)).toBe(false);
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
      await lab.runtime.reopenLog(bundle.id, () => true);
      await until(() => existsSync(log));
      await streams?.write(Buffer.from("\n"));
      await output;
      expect(readFileSync(log, "utf8")).toContain("stdout F two");
      expect(readFileSync(`${log}.1`, "utf8")).not.toContain("two");
      await lab.runtime.delete(bundle.id);
    });

    test("whether a log is to be reopened is asked when the monitor has done what an earlier daemon told it", async () => {
      const bundle = lab.bundle(["/bin/sleep", "1000"]);
      const { task } = await lab.run(bundle);
      const log = join(bundle.directory, "log");
      renameSync(log, `${log}.1`);
      process.kill(task.monitorPid, "SIGSTOP");
      const fd = openSync(join(bundle.directory, "ctl"), constants.O_WRONLY | constants.O_NONBLOCK);
      writeSync(fd, "2 0 0\n");
      closeSync(fd);
      const asked: boolean[] = [];
      const needed = () => {
        asked.push(existsSync(log));
        return false;
      };
      const reopening = lab.runtime.reopenLog(bundle.id, needed);
      await Promise.resolve();
      process.kill(task.monitorPid, "SIGCONT");
      await reopening;
      expect(asked).toEqual([true]); // asked before, it would be done twice: what is written in between is lost then
      await lab.runtime.delete(bundle.id);
    });

    test("reopening the log of what does not run is refused", async () => {
      const bundle = lab.bundle(["/bin/true"]);
      const { output } = await lab.run(bundle);
      await output;
      await lab.runtime.delete(bundle.id);
      expect(isKind(await caught(lab.runtime.reopenLog(bundle.id, () => true)), "not-found")).toBe(true);
    });

    test("without a log path nothing is logged", async () => {
      const bundle = lab.bundle(["/bin/echo", "unheard"]);
      const { logPath: _, ...unlogged } = bundle;
      const { output } = await lab.run(unlogged);
      expect((await output).stdout).toBe("unheard\n");
      expect(existsSync(join(bundle.directory, "log"))).toBe(false);
      await lab.runtime.delete(bundle.id);
    });
  });
}
