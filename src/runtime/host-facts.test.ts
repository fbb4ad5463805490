import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCgroups, createMounts, createProcesses, type Processes } from "../host/mod.ts";
import { nullLog } from "../log/mod.ts";
import { allHostDevices, resolveDevices } from "./devices.ts";
import { effectiveCapabilities, hardLimits, hostLimits } from "./limits.ts";
import { openRuntime } from "./open.ts";

describe("limits", () => {
  test("are read from /proc's texts", () => {
    expect([...effectiveCapabilities("CapEff:\t0000000000000021\n")]).toEqual(["CAP_CHOWN", "CAP_KILL"]);
    const text =
      "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 20000                files     \nMax core file size        0                    unlimited            bytes     \n";
    expect([...hardLimits(text)]).toEqual([
      ["RLIMIT_NOFILE", 20_000],
      ["RLIMIT_CORE", Number.POSITIVE_INFINITY],
    ]);
  });

  test("of this host", () => {
    const info = { name: "runc", path: "", version: "", conmonVersion: "", reason: "" } as const;
    const apparmor = { enabled: true, profile: "some" };
    const limits = hostLimits({ cgroups: createCgroups() }, { info, apparmor });
    expect(limits).toMatchObject({ apparmor: true, apparmorProfile: "some" });
    expect(limits.runtime).toBe("runc");
    expect(limits.capabilities.has("CAP_CHOWN")).toBe(true);
    expect(limits.kernel).toMatch(/^\d+\.\d+/);
  });
});

describe("devices", () => {
  const ask = (hostPath: string) => ({ hostPath, containerPath: "/dev/x", permissions: "rwm" });

  test("have their numbers, a directory its devices", () => {
    expect(resolveDevices([ask("/dev/null")])).toMatchObject([
      { containerPath: "/dev/x", node: { type: "c", major: 1, minor: 3, mode: 0o666 } },
    ]);
    const all = allHostDevices();
    expect(all.map((device) => device.containerPath)).toContain("/dev/zero");
    expect(all.some((device) => device.hostPath.startsWith("/dev/pts/"))).toBe(false);
    expect(resolveDevices([ask("/dev")]).some((device) => device.containerPath === "/dev/x/null")).toBe(true);
  });

  test("what is no device is refused", () => {
    expect(() => resolveDevices([ask("/etc/passwd")])).toThrow("not a device node");
    expect(() => resolveDevices([ask("/dev/nowhere")])).toThrow(
      'custom device "/dev/nowhere": no such file or directory',
    );
  });
});

describe("the choice of a runtime", () => {
  const real = createProcesses();
  const crunRefuses: Processes = {
    ...real,
    run: (argv, options) =>
      argv[0]?.endsWith("crun") && argv.includes("create")
        ? Promise.resolve({ code: 1, stdout: "", stderr: "cgroups in hybrid mode not supported\n" })
        : real.run(argv, options),
  };
  const nothingThere: Processes = {
    ...real,
    run: (argv, options) => real.run(argv, { ...options, env: { PATH: "/nowhere" } }),
  };

  async function open(processes: Processes, runtime?: "crun" | "runc") {
    const directory = mkdtempSync(join(tmpdir(), "berth-probe-"));
    const host = { processes, cgroups: createCgroups(), mounts: createMounts() };
    const cgroupParent = `/${directory.slice(directory.lastIndexOf("/") + 1)}`;
    try {
      const options = { host, log: nullLog, execRoot: join(directory, "exec"), cgroupParent };
      return (await openRuntime({ ...options, ...(runtime ? { runtime } : {}) })).info;
    } finally {
      host.cgroups.remove(cgroupParent);
      rmSync(directory, { recursive: true });
    }
  }

  test("crun where it works", async () => {
    expect(await open(real)).toMatchObject({ name: "crun", reason: "crun works here" });
  });

  test("runc where crun refuses, with crun's reason", async () => {
    expect(await open(crunRefuses)).toMatchObject({
      name: "runc",
      reason: "runc works here; crun: cgroups in hybrid mode not supported",
    });
  });

  test("none: every reason, or the package that is missing", async () => {
    await expect(open(crunRefuses, "crun")).rejects.toThrow(
      "No OCI runtime works on this host: crun: cgroups in hybrid",
    );
    await expect(open(nothingThere)).rejects.toThrow("Debian package conmon");
  });
});
