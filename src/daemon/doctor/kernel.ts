import type { CgroupControls, Cgroups } from "../../host/mod.ts";
import type { DoctorCheck } from "../../wire/mod.ts";
import { ok, problem, warning } from "./check.ts";

/** What the kernel has. */
export interface KernelFacts {
  /** As `uname -r` has it. */
  readonly release: string;
  /** Of /proc/filesystems, and modules that could be loaded. */
  readonly overlay: boolean;
  /** Names in /proc/self/ns. */
  readonly namespaces: readonly string[];
  /** user.max_user_namespaces; undefined where there are none. */
  readonly userNamespacesMost?: number;
  readonly cgroups: Pick<Cgroups, "version"> & { readonly controls: CgroupControls };
  readonly nfTables: boolean;
  /** Connections that are followed and that may be; undefined while the kernel follows none. */
  readonly conntrack?: { readonly count: number; readonly most: number };
  /** AppArmor: whether the kernel has it, and the profile of containers. */
  readonly apparmor: { readonly enabled: boolean; readonly profile?: string };
}

export function kernelChecks(facts: KernelFacts): DoctorCheck[] {
  return [
    kernel(facts),
    overlay(facts),
    namespaces(facts),
    cgroups(facts),
    swapLimit(facts),
    nfTables(facts),
    conntrack(facts),
    apparmor(facts),
  ];
}

/** Idmapped mounts of the file systems that people have (Documentation/filesystems/idmappings.rst); the whole of what the engine calls is older. */
const idmapped = [5, 19] as const;

function kernel({ release }: KernelFacts): DoctorCheck {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const fits = major > idmapped[0] || (major === idmapped[0] && minor >= idmapped[1]);
  if (fits) return ok("kernel", `Linux ${release}, with idmapped mounts`);
  const lacks = `Linux ${release} is older than ${idmapped.join(".")}: --userns-remap and idmapped mounts do not work`;
  return warning("kernel", lacks, "use a newer kernel, if you need them");
}

function overlay({ overlay }: KernelFacts): DoctorCheck {
  if (overlay) return ok("overlay", "the overlay file system is there");
  return problem("overlay", "the kernel has no overlay file system: no container can be made", "modprobe overlay");
}

const needed = ["mnt", "pid", "net", "uts", "ipc"];

function namespaces({ namespaces: there, userNamespacesMost }: KernelFacts): DoctorCheck {
  const missing = needed.filter((kind) => !there.includes(kind));
  if (missing.length > 0) {
    const advice = "use a kernel with CONFIG_NAMESPACES and all of its kinds";
    return problem("namespaces", `the kernel has no ${missing.join(", ")} namespaces`, advice);
  }
  if (!there.includes("cgroup"))
    return warning("namespaces", "the kernel has no cgroup namespaces: --cgroupns private fails");
  if (!there.includes("user") || userNamespacesMost === 0) {
    return warning(
      "namespaces",
      "there are no user namespaces: --userns-remap fails",
      "sysctl user.max_user_namespaces=15000",
    );
  }
  return ok("namespaces", `${[...needed, "user", "cgroup"].join(", ")}`);
}

function cgroups({ cgroups: { version, controls } }: KernelFacts): DoctorCheck {
  const kinds = { memory: controls.memory, pids: controls.pids, cpu: controls.cpuQuota, cpuset: controls.cpuset };
  const entries = Object.entries(kinds);
  const missing = entries.filter(([, there]) => !there).map(([name]) => name);
  if (missing.length === 0) return ok("cgroups", `${version}, with ${entries.map(([name]) => name).join(", ")}`);
  const advice = missing.includes("memory")
    ? "add cgroup_enable=memory to the kernel's command line"
    : `enable ${missing.join(", ")} for the daemon's cgroup (Delegate=yes in its systemd unit)`;
  return warning("cgroups", `${version}, without ${missing.join(", ")}: containers cannot be limited there`, advice);
}

function swapLimit({ cgroups: { controls } }: KernelFacts): DoctorCheck {
  if (controls.swap) return ok("swap limit", "the use of swap can be limited");
  const says = "the use of swap cannot be limited: --memory-swap has no effect";
  return warning("swap limit", says, "add swapaccount=1 to the kernel's command line");
}

function nfTables({ nfTables }: KernelFacts): DoctorCheck {
  if (nfTables) return ok("nf_tables", "the kernel takes nft rules");
  return problem(
    "nf_tables",
    "the kernel takes no nft rules: nothing is published or reaches out",
    "modprobe nf_tables",
  );
}

function conntrack({ conntrack }: KernelFacts): DoctorCheck {
  if (!conntrack) return ok("connections", "none are followed yet");
  const { count, most } = conntrack;
  const used = `${count} of ${most} connections`;
  if (count < most * 0.8) return ok("connections", used);
  const advice = `sysctl net.netfilter.nf_conntrack_max=${most * 4}`;
  const says = `${used}: new ones are dropped when it is full, to and from containers as well`;
  return count < most ? warning("connections", says, advice) : problem("connections", says, advice);
}

function apparmor({ apparmor: { enabled, profile } }: KernelFacts): DoctorCheck {
  if (!enabled) return ok("AppArmor", "the kernel does not use it");
  if (profile !== undefined) return ok("AppArmor", `containers run under the profile ${profile}`);
  const advice = "apt-get install apparmor, and start the daemon again";
  return warning("AppArmor", "the kernel has it, but containers run without a profile", advice);
}
