import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createCgroups } from "./cgroups.ts";

const made: string[] = [];
afterAll(() => {
  for (const directory of made) rmSync(directory, { recursive: true, force: true });
});

function tree(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "berth-cgroup-limits-"));
  made.push(root);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

/** Names of what is false, since there are fewer. */
function lacking(root: string): string[] {
  const controls = Object.entries(createCgroups(root).controls);
  return controls.filter(([, has]) => has === false).map(([name]) => name);
}

describe("what can be limited", () => {
  const v2 = {
    "cgroup.controllers": "cpuset cpu io memory pids\n",
    "cpuset.cpus.effective": "0-3\n",
    "cpuset.mems.effective": "0\n",
    "system.slice/memory.max": "max\n",
  };

  test("v2 has no swappiness, no OOM switch, no real time", () => {
    const root = tree({ ...v2, "system.slice/memory.swap.max": "max\n" });
    expect(lacking(root)).toEqual(["swappiness", "oomKillDisable", "cpuRealtime"]);
    expect(createCgroups(root).controls).toMatchObject({ cpus: "0-3", mems: "0" });
  });

  test("v2 without swap accounting, without io and pids, with nothing", () => {
    expect(lacking(tree(v2))).toContain("swap");
    const few = lacking(tree({ "cgroup.controllers": "cpu memory\n" }));
    expect(few).toContain("pids");
    expect(few).toContain("blkioWeight");
    expect(few).toContain("readBps");
    expect(few).not.toContain("swap");
    expect(lacking(tree({ "cgroup.controllers": "\n" }))).toContain("memory");
  });

  test("v1 by the files that there are", () => {
    const root = tree({
      "memory/cgroup.procs": "",
      "memory/memory.limit_in_bytes": "1",
      "memory/memory.soft_limit_in_bytes": "1",
      "memory/memory.swappiness": "60",
      "memory/memory.oom_control": "",
      "cpu/cgroup.procs": "",
      "cpu/cpu.shares": "1024",
      "cpuset/cgroup.procs": "",
      "cpuset/cpuset.cpus": "0,2\n",
      "cpuset/cpuset.mems": "0\n",
      "blkio/blkio.weight": "500",
    });
    expect(createCgroups(root).controls).toMatchObject({
      ...{ memory: true, swap: false, reservation: true, swappiness: true, oomKillDisable: true },
      ...{ cpuShares: true, cpuQuota: false, cpuRealtime: false, cpuset: true, cpus: "0,2", mems: "0" },
      ...{ pids: false, blkioWeight: true, blkioWeightDevice: false, readBps: false },
    });
  });
});

describe("limits that are set", () => {
  const v2 = () =>
    tree({
      "cgroup.controllers": "cpu memory pids\n",
      "b/c/memory.max": "4096\n",
      "b/c/memory.swap.max": "max\n",
      "b/c/cpu.max": "20000 50000\n",
      "b/c/pids.max": "20\n",
    });

  test("v2: read, changed, put back", () => {
    const root = v2();
    const cgroups = createCgroups(root);
    const before = cgroups.limits("/b/c");
    expect([...before]).toEqual([
      ["memory.max", "4096"],
      ["memory.swap.max", "max"],
      ["cpu.max", "20000 50000"],
      ["pids.max", "20"],
    ]);
    cgroups.lift("/b/c", "pids");
    cgroups.lift("/b/c", "cpuQuota");
    expect(readFileSync(join(root, "b/c/pids.max"), "utf8")).toBe("max\n");
    expect(readFileSync(join(root, "b/c/cpu.max"), "utf8")).toBe("max 50000\n");
    cgroups.restore("/b/c", before);
    expect(cgroups.limits("/b/c")).toEqual(before);
  });

  test("v1: each file in its hierarchy", () => {
    const root = tree({
      "cpu/cgroup.procs": "",
      "cpu/b/cpu.cfs_quota_us": "50000\n",
      "pids/cgroup.procs": "",
      "pids/b/pids.max": "7\n",
    });
    const cgroups = createCgroups(root);
    expect([...cgroups.limits("/b")]).toEqual([
      ["cpu.cfs_quota_us", "50000"],
      ["pids.max", "7"],
    ]);
    cgroups.lift("/b", "cpuQuota");
    cgroups.lift("/b", "pids");
    expect([...cgroups.limits("/b").values()]).toEqual(["-1", "max"]);
  });

  test("a file that cannot be written is named; one that is gone has none", () => {
    const root = v2();
    const cgroups = createCgroups(root);
    expect(cgroups.limits("/none")).toEqual(new Map());
    expect(() => cgroups.lift("/none", "pids")).toThrow(/none\/pids.max: ENOENT/);
    mkdirSync(join(root, "b/c/memory.low"));
    expect(() => cgroups.restore("/b/c", new Map([["memory.low", "5"]]))).toThrow(/memory.low: EISDIR/);
    expect(() => cgroups.limits("/b/../..")).toThrow("Bad cgroup path");
  });
});
