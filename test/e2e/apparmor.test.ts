import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { call } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { tar } from "../support/tar.ts";

const switchFile = "/sys/module/apparmor/parameters/enabled";
const enabled = existsSync(switchFile) && readFileSync(switchFile, "utf8").startsWith("Y");

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const current = "cat /proc/self/attr/current";
const run = (flags: readonly string[], script = current) =>
  engine.ok("run", "--rm", ...flags, "busybox", "sh", "-c", script);
const profileOf = (name: string) => engine.ok("inspect", "-f", "{{.AppArmorProfile}}", name);

describe.skipIf(!enabled)("on a host with AppArmor", () => {
  test("info names it, and has no complaint", async () => {
    expect(await engine.ok("info", "-f", "{{.SecurityOptions}} {{.Warnings}}")).toMatch(
      /name=apparmor(?!.*AppArmor profile)/,
    );
  });

  test("containers, their execs and build steps are confined; privileged ones and those that say so are not", async () => {
    expect(await run([])).toBe("berth-default (enforce)");
    expect(await run(["--security-opt", "apparmor=unconfined"])).toBe("unconfined");
    expect(await run(["--privileged"])).toBe("unconfined");
    expect(await run(["--privileged", "--security-opt", "apparmor=berth-default"])).toBe("berth-default (enforce)");
    const context = tar({ name: "Dockerfile", data: `FROM busybox\nRUN ${current}\n` });
    const built = await call(engine, "POST /build?t=confined", context);
    expect(built.text).toContain("berth-default (enforce)");
  });

  test("an exec has its container's profile, also a privileged one, and inspect names it", async () => {
    for (const [name, flags, profile] of [
      ["plain", [], "berth-default"],
      ["privileged", ["--privileged"], "unconfined"],
    ] as const) {
      await engine.ok("run", "-d", "--name", name, ...flags, "busybox", "sleep", "1000");
      const shown = profile === "unconfined" ? profile : `${profile} (enforce)`;
      expect(await engine.ok("exec", name, "sh", "-c", current)).toBe(shown);
      expect(await engine.ok("exec", "--privileged", name, "sh", "-c", current)).toBe(shown);
      expect(await profileOf(name)).toBe(profile);
      await engine.ok("rm", "-f", name);
    }
  });

  test.each(["crun", "runc"])(
    "a profile that is not loaded is an error of start, in Docker's words (%s)",
    async (runtime) => {
      const flags = ["--runtime", runtime, "--security-opt", "apparmor=no-such-profile"];
      const { code, stderr } = await engine.docker("run", "--name", `missing-${runtime}`, ...flags, "busybox", "true");
      expect(code).toBe(127);
      expect(stderr).toContain(
        "apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such file or",
      );
      expect(await profileOf(`missing-${runtime}`)).toBe("no-such-profile");
    },
  );

  test("what it denies is denied with every capability and without masks, and the rest works", async () => {
    const open = [
      "--cap-add",
      "ALL",
      "--security-opt",
      "systempaths=unconfined",
      "--security-opt",
      "seccomp=unconfined",
    ];
    const tries = [
      "mount -t tmpfs x /tmp",
      "chroot /proc/1/root mount -o remount,rw /sys",
      "head -c 1 /proc/kcore",
      ...["/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"].map(
        (file) => `: >> ${file}`,
      ),
      ": >> /proc/irq/default_smp_affinity",
    ];
    const script = tries.map((one) => `(${one}) >/dev/null 2>&1 && echo "ALLOWED: ${one}"`).join("; ");
    const works = ": >> /proc/sys/net/ipv4/ip_forward && { sleep 9 & kill $!; } && ps >/dev/null && echo works";
    expect(await run(open, `${script}; ${works}`)).toBe("works");
  });

  test("stop and kill reach confined processes", async () => {
    await engine.ok("run", "-d", "--name", "signalled", "busybox", "sh", "-c", "trap 'exit 7' TERM; sleep 1000 & wait");
    await engine.ok("stop", "signalled");
    expect(await engine.ok("inspect", "-f", "{{.State.ExitCode}}", "signalled")).toBe("7");
  });
});

test.skipIf(enabled)(
  "on a host without AppArmor a profile that is asked for is a warning, and none is shown",
  async () => {
    expect(await engine.ok("info", "-f", "{{.SecurityOptions}} {{.Warnings}}")).not.toMatch(/apparmor/i);
    const { stderr } = await engine.docker("create", "--name", "asked", "--security-opt", "apparmor=x", "busybox");
    expect(stderr).toContain("AppArmor is not enabled on this host: the profile x has no effect");
    expect(await profileOf("asked")).toBe("");
  },
);
