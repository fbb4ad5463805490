import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import type { Host } from "../host/mod.ts";
import { allCapabilities } from "./capabilities.ts";
import type { HostLimits, Runtime } from "./runtime.ts";

/** What this daemon may hand on to containers, read once at start from /proc and /sys. */
export function hostLimits(host: Pick<Host, "cgroups">, runtime: Pick<Runtime, "info" | "apparmor">): HostLimits {
  const capabilities = effectiveCapabilities(readFileSync("/proc/self/status", "utf8"));
  const unbounded = capabilities.has("CAP_SYS_RESOURCE");
  const own = Number(readFileSync("/proc/self/oom_score_adj", "utf8"));
  const { version } = host.cgroups;
  const { apparmor } = runtime;
  return {
    capabilities,
    rlimits: unbounded ? new Map() : hardLimits(readFileSync("/proc/self/limits", "utf8")),
    oomScoreAdj: unbounded ? -1000 : own,
    cgroupVersion: version,
    apparmor: apparmor.enabled,
    ...(apparmor.profile !== undefined && { apparmorProfile: apparmor.profile }),
    selinux: existsSync("/sys/fs/selinux/enforce"),
    runtime: runtime.info.name,
    kernel: release(),
    machine: process.arch,
    controls: host.cgroups.controls,
  };
}

export function effectiveCapabilities(status: string): Set<string> {
  const bits = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return new Set(allCapabilities.filter((_, bit) => (bits >> BigInt(bit)) & 1n));
}

/** The words of /proc/PID/limits, in the kernel's order, by their OCI names. */
const limitNames: Readonly<Record<string, string>> = {
  "Max cpu time": "RLIMIT_CPU",
  "Max file size": "RLIMIT_FSIZE",
  "Max data size": "RLIMIT_DATA",
  "Max stack size": "RLIMIT_STACK",
  "Max core file size": "RLIMIT_CORE",
  "Max resident set": "RLIMIT_RSS",
  "Max processes": "RLIMIT_NPROC",
  "Max open files": "RLIMIT_NOFILE",
  "Max locked memory": "RLIMIT_MEMLOCK",
  "Max address space": "RLIMIT_AS",
  "Max file locks": "RLIMIT_LOCKS",
  "Max pending signals": "RLIMIT_SIGPENDING",
  "Max msgqueue size": "RLIMIT_MSGQUEUE",
  "Max nice priority": "RLIMIT_NICE",
  "Max realtime priority": "RLIMIT_RTPRIO",
  "Max realtime timeout": "RLIMIT_RTTIME",
};

export function hardLimits(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^(Max [a-z ]+?)\s{2,}\S+\s+(\S+)/.exec(line);
    const name = limitNames[match?.[1] ?? ""];
    if (name && match) found.set(name, match[2] === "unlimited" ? Number.POSITIVE_INFINITY : Number(match[2]));
  }
  return found;
}
