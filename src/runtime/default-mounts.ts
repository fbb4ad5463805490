import type { RuntimeSpec, SpecInput } from "./runtime.ts";

type SpecMount = RuntimeSpec["mounts"][number];

/** moby `oci/defaults.go` (28.x). Paths that a kernel does not have are passed over by the runtimes. */
export const defaultMaskedPaths: readonly string[] = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];

export const defaultReadonlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

type MountInput = Pick<
  SpecInput,
  "mounts" | "shmSize" | "privileged" | "readonlyRootfs" | "namespaces" | "writableCgroups"
>;

/** The default mounts, without those that the container's own replace, and then its own in their order. */
export function mountsOf(input: MountInput): SpecMount[] {
  const own = new Set(input.mounts.map((mount) => mount.destination.replace(/(.)\/+$/, "$1")));
  const kept = defaults(input).filter(
    ({ destination }) => !own.has(destination) && !(own.has("/dev") && destination.startsWith("/dev/")),
  );
  return [
    ...kept,
    ...input.mounts.map(({ destination, type, source, options }) => ({ destination, type, source, options })),
  ];
}

function defaults(input: MountInput): SpecMount[] {
  const strict = ["nosuid", "noexec", "nodev"];
  const system = input.privileged && !input.readonlyRootfs ? [] : ["ro"];
  const mount = (destination: string, type: string, options: readonly string[]): SpecMount => ({
    destination,
    type,
    source: type,
    options,
  });
  return [
    mount("/proc", "proc", strict),
    mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    mount("/sys", "sysfs", [...strict, ...system]),
    mount("/sys/fs/cgroup", "cgroup", [...(input.writableCgroups ? [] : system), ...strict]),
    ...ipcMounts(input, strict),
  ];
}

/** With the host's IPC namespace an mqueue mount shows the host's queues; its shared memory is a file system of its own. */
function ipcMounts(input: MountInput, strict: readonly string[]): SpecMount[] {
  const queues = { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: strict };
  if (input.namespaces.ipc === "none") return [queues];
  if (input.namespaces.ipc === "host") {
    return [queues, { destination: "/dev/shm", type: "bind", source: "/dev/shm", options: ["rbind", ...strict] }];
  }
  const options = [...strict, "mode=1777", `size=${input.shmSize}`];
  return [queues, { destination: "/dev/shm", type: "tmpfs", source: "shm", options }];
}
