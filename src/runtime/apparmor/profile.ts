/** The profile that confines containers which ask for none. */
export const defaultProfile = "berth-default";

/** How many files below a directory are spared: those whose names begin with one of the `prefixes`. */
interface Spared {
  readonly directory: string;
  readonly prefixes: readonly string[];
}

/** What may be written of /proc/sys: belongs to namespaces that the container has of its own, or else needs capabilities. */
const writableSysctls: readonly Spared[] = [
  { directory: "/proc/sys/", prefixes: ["net", "kernel", "fs"] },
  { directory: "/proc/sys/kernel/", prefixes: ["shm", "msg", "sem"] },
  { directory: "/proc/sys/fs/", prefixes: ["mqueue"] },
];

/** Of /proc the processes' own directories and sysctls; of /sys the cgroups, which are mounted read-only unless asked for. */
const writableElsewhere: readonly Spared[] = [
  { directory: "/proc/", prefixes: [..."0123456789", "sys"] },
  { directory: "/sys/", prefixes: ["fs"] },
  { directory: "/sys/fs/", prefixes: ["cgroup"] },
];

/** Neither read nor written: the machine's memory, its keys to everything, and what tells others' secrets. */
const hidden = [
  "/proc/sysrq-trigger",
  "/proc/kcore",
  "/proc/kmem",
  "/proc/mem",
  "/sys/firmware/**",
  "/sys/devices/virtual/powercap/**",
  "/sys/kernel/security/**",
];

/** Who may have a profile of its own on the host, and signals containers. */
const runtimes = ["runc", "crun"];

/**
 * The policy, as apparmor_parser(8) reads it (apparmor.d(5)): what docker-default forbids, too. A second lock behind capabilities,
 * seccomp and read-only mounts, for when one of those was taken away. It includes no file of the host's. Pure.
 */
export function profileText(): string {
  const own = `peer=${defaultProfile}`;
  const rules = [
    ...["network", "unix", "capability", "file", "umount"],
    ...["unconfined", ...runtimes].map((peer) => `signal (receive) peer=${peer}`),
    `signal (send, receive) ${own}`,
    `ptrace (trace, read, tracedby, readby) ${own}`,
    "deny mount",
    "deny /proc/* w",
    ...[...writableElsewhere, ...writableSysctls].flatMap(others).map((glob) => `deny ${glob} wkl`),
    ...hidden.map((path) => `deny ${path} rwklx`),
  ];
  const lines = rules.map((rule) => `  ${rule},\n`).join("");
  return `profile ${defaultProfile} flags=(attach_disconnected, mediate_deleted) {\n${lines}}\n`;
}

/**
 * Globs of everything below a directory but what begins with one of the prefixes, since a rule cannot be taken out of another
 * one: for each beginning that prefixes share, whatever goes on differently, and what ends there.
 */
function others({ directory, prefixes }: Spared): string[] {
  const beginnings = new Set(prefixes.flatMap((prefix) => [...prefix].map((_, end) => prefix.slice(0, end))));
  return [...beginnings].sort().map((beginning) => {
    const next = prefixes
      .filter((prefix) => prefix.length > beginning.length && prefix.startsWith(beginning))
      .map((prefix) => prefix[beginning.length]);
    const differently = `[^${[...new Set(next)].join("")}]**`;
    return `${directory}${beginning === "" ? differently : `${beginning}{,/**,${differently}}`}`;
  });
}
