import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { messageOf } from "../../errors/mod.ts";
import { createFailure } from "../failure.ts";
import { caught, Lab, until } from "../testing/lab.ts";

const never = new AbortController().signal;

/** Processes in a container without a monitor. */
export function execOnceSuite(name: "crun" | "runc"): void {
  describe(`execs without a monitor with ${name}`, () => {
    let lab: Lab;
    let id: string;
    beforeAll(async () => {
      lab = await Lab.open(name);
      id = (await lab.sleeper()).id;
    });
    afterAll(() => lab[Symbol.asyncDispose]());

    const request = (...args: string[]) => ({ ...lab.exec(id, args), directory: join(lab.directory, "once") });
    const shell = (script: string) => request("/bin/sh", "-c", script);
    const cgroup = () => `${lab.cgroupParent}/${id}`;
    /** Processes of the container but for its first. */
    const others = () => lab.host.cgroups.pids(cgroup()).length - 1;

    async function output(script: string, signal = never) {
      let text = "";
      const code = await lab.runtime.execOnce(shell(script), {
        signal,
        onOutput: (stream, bytes) => {
          text += `${stream}: ${Buffer.from(bytes)}`;
        },
      });
      return { code, text };
    }

    test("gives the exit code and both streams", async () => {
      expect(await output("echo out; exit 3")).toEqual({ code: 3, text: "stdout: out\n" });
      expect(await output("echo err >&2; kill -9 $$")).toEqual({ code: 137, text: "stderr: err\n" });
    });

    test("what cannot be run says why, as an exec does", async () => {
      const missing = await caught(
        lab.runtime.execOnce(request("nosuch"), { signal: never, onOutput: () => undefined }),
      );
      expect(createFailure(missing)?.exitCode).toBe(127);
      expect(messageOf(missing)).toContain("executable file not found in $PATH");
    });

    // runc copies the output itself, to its end.
    test.skipIf(name === "runc")("does not wait for who else holds the output", async () => {
      expect(await output("sleep 1000 & echo done")).toEqual({ code: 0, text: "stdout: done\n" });
      await lab.host.processes.run(["kill", ...lab.host.cgroups.pids(cgroup()).slice(1).map(String)], { env: {} });
      await until(() => others() === 0);
    });

    test("an abort ends it and its children before it is answered", async () => {
      const abort = new AbortController();
      const running = caught(output("sleep 1000 & sleep 1000; true", abort.signal));
      await until(() => others() >= 3);
      abort.abort(new Error("enough"));
      expect(messageOf(await running)).toBe("enough");
      await until(() => others() === 0);
    });

    test("an abort before it has started ends it too", async () => {
      const abort = new AbortController();
      const running = caught(output("sleep 1000", abort.signal));
      abort.abort(new Error("enough"));
      expect(messageOf(await running)).toBe("enough");
      await until(() => others() === 0);
    });

    test("one that writes without end is read slowly, and ended", async () => {
      const abort = new AbortController();
      let bytes = 0;
      const onOutput = (_: string, chunk: Uint8Array) => {
        bytes += chunk.length;
        if (bytes > 1 << 20) abort.abort(new Error("enough"));
      };
      const running = lab.runtime.execOnce(shell("while :; do cat /bin/busybox; done"), {
        signal: abort.signal,
        onOutput,
      });
      expect(messageOf(await caught(running))).toBe("enough");
      expect(bytes).toBeLessThan(8 << 20);
    });

    test("recovery ends what a killed daemon left", async () => {
      const abort = new AbortController();
      const running = output("sleep 1000", abort.signal);
      await until(() => others() >= 1);
      const later = await lab.reopen();
      await later.recover();
      await until(() => others() === 0);
      expect(await running).toEqual({ code: 137, text: "" });
    });
  });
}
