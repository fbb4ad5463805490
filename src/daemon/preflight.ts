import { existsSync, readFileSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";

/** The programs that the daemon cannot do without, and the Debian package of each. */
const programs: Readonly<Record<string, string>> = {
  conmon: "conmon",
  nft: "nftables",
  ip: "iproute2",
  unshare: "util-linux",
  nsenter: "util-linux",
};

/**
 * Refuses to start on a host that cannot run containers, saying what to do: "unavailable" with every reason at once.
 * The OCI runtime itself is probed when it is chosen.
 */
export function preflight(which: (program: string) => string | null): void {
  const problems = [
    ...(process.getuid?.() === 0 ? [] : ["it must run as root (for namespaces, mounts and cgroups): use sudo"]),
    ...missingPrograms(which),
    ...missingKernel(),
  ];
  if (problems.length === 0) return;
  throw new EngineError(
    "unavailable",
    `berth daemon cannot run here:\n${problems.map((one) => `  - ${one}`).join("\n")}`,
  );
}

function missingPrograms(which: (program: string) => string | null): string[] {
  const missing = Object.entries(programs).filter(([program]) => !which(program));
  const texts = missing.map(([program, name]) => `the program ${program} is missing: apt-get install ${name}`);
  if (!which("crun") && !which("runc")) texts.push("no OCI runtime is installed: apt-get install crun");
  return texts;
}

function missingKernel(): string[] {
  const problems: string[] = [];
  const filesystems = existsSync("/proc/filesystems") ? readFileSync("/proc/filesystems", "utf8") : "";
  if (!/\toverlay$/m.test(filesystems) && !existsSync("/sys/module/overlay") && !moduleFile("overlay")) {
    problems.push("the kernel has no overlay file system: modprobe overlay");
  }
  for (const kind of ["pid", "net", "mnt", "uts", "ipc"]) {
    if (!existsSync(`/proc/self/ns/${kind}`)) problems.push(`the kernel has no ${kind} namespaces (CONFIG_NAMESPACES)`);
  }
  if (!existsSync("/sys/fs/cgroup/cgroup.controllers") && !existsSync("/sys/fs/cgroup/memory")) {
    problems.push("no cgroups are mounted at /sys/fs/cgroup: apt-get install cgroupfs-mount && cgroupfs-mount");
  }
  return problems;
}

/** A module that is not loaded yet is loaded by the kernel at the first mount. */
export function moduleFile(name: string): boolean {
  const release = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
  return ["ko", "ko.xz", "ko.zst"].some((end) =>
    existsSync(`/lib/modules/${release}/kernel/fs/${name}fs/${name}.${end}`),
  );
}
