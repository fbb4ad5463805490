import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createCgroups } from "./cgroups.ts";

const made: string[] = [];
afterAll(() => {
  for (const directory of made) rmSync(directory, { recursive: true, force: true });
});

function tree(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "berth-cgroups-"));
  made.push(root);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

describe("v2", () => {
  const root = tree({
    "cgroup.controllers": "cpu io memory pids\n",
    "b/c/cgroup.procs": "11\n12\n",
    "b/c/sub/cgroup.procs": "13\n",
    "b/c/cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 1\nthrottled_usec 4\n",
    "b/c/memory.current": "4096\n",
    "b/c/memory.max": "max\n",
    "b/c/memory.stat": "anon 1\nfile 2\n",
    "b/c/memory.events": "low 0\noom 1\noom_kill 1\n",
    "b/c/pids.current": "3\n",
    "b/c/pids.max": "20\n",
    "b/c/io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
  });
  const cgroups = createCgroups(root);

  test("is told from the others and lists its controllers", () => {
    expect(cgroups.version).toBe("v2");
    expect([...cgroups.controllers]).toEqual(["cpu", "io", "memory", "pids"]);
  });

  test("counts", () => {
    expect(cgroups.pids("/b/c")).toEqual([11, 12, 13]);
    expect(cgroups.oomKilled("/b/c")).toBe(true);
    expect(cgroups.usage("/b/c")).toEqual({
      cpu: { totalNs: 5000, userNs: 3000, systemNs: 2000, periods: 7, throttledPeriods: 1, throttledNs: 4000 },
      memory: { usage: 4096, limit: Number.POSITIVE_INFINITY, stats: { anon: 1, file: 2 } },
      pids: { current: 3, limit: 20 },
      io: {
        bytes: [
          { major: 8, minor: 0, op: "read", value: 1 },
          { major: 8, minor: 0, op: "write", value: 2 },
        ],
      },
    });
  });

  test("one that is gone is empty, zero and no error", () => {
    expect(cgroups.pids("/none")).toEqual([]);
    expect(cgroups.oomKilled("/none")).toBe(false);
    expect(cgroups.usage("/none").memory).toEqual({ usage: 0, limit: 0, stats: {} });
    expect(() => cgroups.remove("/none")).not.toThrow();
  });

  test("refuses the root and what leaves it", () => {
    for (const path of ["/", "", "b/c", "/b/../..", "/b/.."])
      expect(() => cgroups.remove(path)).toThrow("Bad cgroup path");
  });
});

describe("v1", () => {
  const files = {
    "memory/cgroup.procs": "",
    "memory/c/cgroup.procs": "5\n",
    "memory/c/memory.usage_in_bytes": "10\n",
    "memory/c/memory.limit_in_bytes": "9223372036854771712\n",
    "memory/c/memory.max_usage_in_bytes": "20\n",
    "memory/c/memory.failcnt": "4\n",
    "memory/c/memory.stat": "cache 1\ntotal_inactive_file 2\n",
    "memory/c/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
    "cpu/cgroup.procs": "",
    "cpu/c/cgroup.procs": "5\n",
    "cpu/c/cpu.stat": "nr_periods 1\nnr_throttled 2\nthrottled_time 3\n",
    "cpuacct/cgroup.procs": "",
    "cpuacct/c/cpuacct.usage": "9\n",
    "cpuacct/c/cpuacct.stat": "user 5\nsystem 4\n",
    "cpuacct/c/cpuacct.usage_percpu": "6 3 \n",
    "systemd/cgroup.procs": "",
    "blkio/cgroup.procs": "",
    "blkio/c/blkio.throttle.io_service_bytes_recursive": "8:0 Read 1\n8:0 Write 2\n8:0 Sync 3\n8:0 Total 3\nTotal 3\n",
    "blkio/c/blkio.throttle.io_serviced_recursive": "8:0 Read 7\nTotal 7\n",
    "pids/cgroup.procs": "",
    "pids/c/pids.current": "1\n",
    "pids/c/pids.max": "max\n",
  };

  test("is told from hybrid by the unified tree", () => {
    expect(createCgroups(tree(files)).version).toBe("v1");
    expect(createCgroups(tree({ ...files, "unified/cgroup.controllers": "" })).version).toBe("hybrid");
    expect([...createCgroups(tree(files)).controllers].sort()).toEqual(["blkio", "cpu", "cpuacct", "memory", "pids"]);
  });

  test("counts", () => {
    const cgroups = createCgroups(tree(files));
    const disk = { major: 8, minor: 0 };
    expect(cgroups.pids("/c")).toEqual([5]);
    expect(cgroups.oomKilled("/c")).toBe(false);
    expect(cgroups.usage("/c")).toEqual({
      cpu: {
        ...{ totalNs: 9, userNs: 5e7, systemNs: 4e7, perCpuNs: [6, 3] },
        ...{ periods: 1, throttledPeriods: 2, throttledNs: 3 },
      },
      memory: {
        ...{ usage: 10, limit: Number.POSITIVE_INFINITY, maxUsage: 20, failures: 4 },
        stats: { cache: 1, total_inactive_file: 2 },
      },
      pids: { current: 1, limit: Number.POSITIVE_INFINITY },
      io: {
        bytes: [
          { ...disk, op: "Read", value: 1 },
          { ...disk, op: "Write", value: 2 },
          { ...disk, op: "Sync", value: 3 },
          { ...disk, op: "Total", value: 3 },
        ],
        operations: [{ ...disk, op: "Read", value: 7 }],
      },
    });
  });
});

test("the kernel's own: pids in a cgroup, busy while one runs, gone after remove", async () => {
  const cgroups = createCgroups();
  const name = `/berth-test-${process.pid}`;
  const top = cgroups.version === "v2" ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids";
  mkdirSync(join(top, name, "sub"), { recursive: true });
  const child = Bun.spawn(["sleep", "60"]);
  writeFileSync(join(top, name, "sub/cgroup.procs"), String(child.pid));
  expect(cgroups.pids(name)).toEqual([child.pid]);
  expect(() => cgroups.remove(name)).toThrow("EBUSY");
  child.kill("SIGKILL");
  await child.exited;
  cgroups.remove(name);
  expect(existsSync(join(top, name))).toBe(false);
  expect(readFileSync(join(top, "cgroup.procs"), "utf8")).not.toContain(`\n${child.pid}\n`);
});
