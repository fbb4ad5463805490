import type { HostLimits, ProcessSpec, SpecInput } from "./runtime.ts";

/** capabilities(7) in the kernel's order: the place in the list is the number of the bit. */
export const allCapabilities: readonly string[] = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
  "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
  "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
  "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

/** moby `oci/caps/defaults.go`. */
export const defaultCapabilities: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

export type CapabilityInput = Pick<SpecInput, "privileged" | "capAdd" | "capDrop"> & {
  readonly limits: Pick<HostLimits, "capabilities">;
};

/** What the container may have, by the rules of moby `oci/caps/utils.go`, cut down to what the daemon itself has. */
export function allowedCapabilities(input: CapabilityInput): string[] {
  const add = input.capAdd.map(full);
  const drop = new Set(input.capDrop.map(full));
  return [...new Set(wanted({ privileged: input.privileged, add, drop }))].filter((name) =>
    input.limits.capabilities.has(name),
  );
}

function wanted(input: { privileged: boolean; add: readonly string[]; drop: ReadonlySet<string> }): readonly string[] {
  if (input.privileged) return allCapabilities;
  if (input.add.includes("CAP_ALL")) return allCapabilities.filter((name) => !input.drop.has(name));
  if (input.drop.has("CAP_ALL")) return input.add;
  return [...defaultCapabilities.filter((name) => !input.drop.has(name)), ...input.add];
}

function full(name: string): string {
  return name.startsWith("CAP_") ? name : `CAP_${name}`;
}

/** The sets of a process: another user than root starts with none effective, as execve(2) would leave it. */
export function capabilitySets(names: readonly string[], uid: number): NonNullable<ProcessSpec["capabilities"]> {
  const own = uid === 0 ? names : [];
  return { bounding: names, effective: own, permitted: own, inheritable: [], ambient: [] };
}
