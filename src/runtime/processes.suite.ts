import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isKind, messageOf } from "../errors/mod.ts";
import { createFailure } from "./failure.ts";
import type { Bundle } from "./runtime.ts";
import { caught, exitOf, Lab, plainInput } from "./testing/lab.ts";

const never = new AbortController().signal;

/** What a process gets and is denied, and processes without a monitor. */
export function processSuite(name: "crun" | "runc"): void {
  describe(`processes with ${name}`, () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await Lab.open(name);
    });
    afterAll(() => lab[Symbol.asyncDispose]());

    test("is the process that the spec describes", async () => {
      const shown = await lab.shell(
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
        const { stdout } = await lab.shell(
          "/bin/busybox unshare -U true 2>&1; /bin/busybox mount -t tmpfs x /tmp 2>&1",
        );
        expect(stdout).toContain("unshare");
        expect(stdout.match(/not permitted|denied/gi)?.length).toBe(2);
      }
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
      const { id } = await lab.sleeper({ resources });
      const usage = () => lab.host.cgroups.usage(`${lab.cgroupParent}/${id}`);
      expect(usage().memory.limit).toBe(64 << 20);
      expect(usage().pids.limit).toBe(33);
      const raised = { pids: { limit: 44 }, memory: { limit: 128 << 20, swap: 256 << 20 }, cpu: { quota: 50_000 } };
      await lab.runtime.limit(id, { resources: raised, lift: [] });
      expect(usage().memory.limit).toBe(128 << 20);
      expect(usage().pids.limit).toBe(44);
      const before = lab.host.cgroups.limits(`${lab.cgroupParent}/${id}`);
      const refused = { memory: { limit: 64 << 20, swap: 64 << 20 }, cpu: { shares: 512, cpus: "4096" } };
      const err = await caught(lab.runtime.limit(id, { resources: refused, lift: ["pids"] }));
      expect(isKind(err, "internal")).toBe(true);
      expect(lab.host.cgroups.limits(`${lab.cgroupParent}/${id}`)).toEqual(before);
      await lab.runtime.limit(id, { resources: {}, lift: ["pids", "cpuQuota"] });
      expect(usage().pids.limit).toBe(Number.POSITIVE_INFINITY);
      const after = lab.host.cgroups.limits(`${lab.cgroupParent}/${id}`);
      expect(after.get("cpu.cfs_quota_us") ?? after.get("cpu.max")?.split(" ")[0]).toMatch(/^(-1|max)$/);
      await lab.runtime.delete(id);
    });

    test("says that the kernel killed it for memory", async () => {
      const resources = { ...plainInput.resources, memory: 16 << 20, memorySwap: 16 << 20 };
      const bundle = lab.bundle(["/bin/sh", "-c", "head -c 100000000 /dev/zero | tail -c 90000000; exit 3"], {
        resources,
      });
      const exit = exitOf(lab.runtime, bundle.id);
      const { output } = await lab.run(bundle);
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
      const shown = await lab.shell(script, {
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
      const shown = await lab.shell("grep CapEff /proc/self/status; touch /proc/sys/vm/swappiness && echo rw", {
        privileged: true,
      });
      const own = /CapEff:\s*(\S+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
      expect(shown.stdout).toBe(`CapEff:\t${own}\nrw\n`);
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
        expect(readdirSync(join(lab.directory, "exec/state", lab.name))).toEqual([]);
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
        expect(readdirSync(join(lab.directory, "exec/state", lab.name))).toEqual([]);
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
      const outcome = await lab.run(bundle).then(async ({ output }) => (await output).stderr, messageOf);
      expect(outcome.toLowerCase()).toContain("exec format error");
      expect((await exit).code).toBeGreaterThan(0);
      await lab.runtime.delete(bundle.id);
    });
  });
}
