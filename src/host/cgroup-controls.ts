import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupControls, Cgroups } from "./host.ts";

/**
 * What the cgroups below `root` can limit, as moby's `pkg/sysinfo` finds out: on v1 by the files of each hierarchy's root, on v2 by the
 * controllers (cgroup-v2.rst). A kernel without swap accounting (`swapaccount=0`) lacks one file only, which the v2 root
 * never has, so there a child is asked.
 */
export function controlsOf(root: string, version: Cgroups["version"]): CgroupControls {
  const namespaces = existsSync("/proc/self/ns/cgroup");
  return { ...(version === "v2" ? v2Controls(root) : v1Controls(root)), namespaces };
}

type Controls = Omit<CgroupControls, "namespaces">;

function v1Controls(root: string): Controls {
  const has = (file: string) => existsSync(join(root, file));
  return {
    memory: has("memory/memory.limit_in_bytes"),
    swap: has("memory/memory.memsw.limit_in_bytes"),
    reservation: has("memory/memory.soft_limit_in_bytes"),
    swappiness: has("memory/memory.swappiness"),
    oomKillDisable: has("memory/memory.oom_control"),
    cpuShares: has("cpu/cpu.shares"),
    cpuQuota: has("cpu/cpu.cfs_quota_us"),
    cpuRealtime: has("cpu/cpu.rt_runtime_us"),
    cpuset: has("cpuset/cpuset.cpus"),
    cpus: word(join(root, "cpuset/cpuset.cpus")),
    mems: word(join(root, "cpuset/cpuset.mems")),
    pids: has("pids/cgroup.procs"),
    blkioWeight: has("blkio/blkio.weight"),
    blkioWeightDevice: has("blkio/blkio.weight_device"),
    readBps: has("blkio/blkio.throttle.read_bps_device"),
    writeBps: has("blkio/blkio.throttle.write_bps_device"),
    readIOps: has("blkio/blkio.throttle.read_iops_device"),
    writeIOps: has("blkio/blkio.throttle.write_iops_device"),
  };
}

function v2Controls(root: string): Controls {
  const controllers = new Set(word(join(root, "cgroup.controllers")).split(/\s+/));
  const memory = controllers.has("memory");
  const cpu = controllers.has("cpu");
  const io = controllers.has("io");
  const child = memory ? aChildWith(root, "memory.max") : undefined;
  return {
    memory,
    swap: memory && (child === undefined || existsSync(join(child, "memory.swap.max"))),
    reservation: memory,
    swappiness: false,
    oomKillDisable: false,
    cpuShares: cpu,
    cpuQuota: cpu,
    cpuRealtime: false,
    cpuset: controllers.has("cpuset"),
    cpus: word(join(root, "cpuset.cpus.effective")),
    mems: word(join(root, "cpuset.mems.effective")),
    pids: controllers.has("pids"),
    blkioWeight: io,
    blkioWeightDevice: io,
    readBps: io,
    writeBps: io,
    readIOps: io,
    writeIOps: io,
  };
}

function aChildWith(root: string, file: string): string | undefined {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, entry.name))
    .find((directory) => existsSync(join(directory, file)));
}

function word(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return ""; // the controller is not there
  }
}
