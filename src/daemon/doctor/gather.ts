import { existsSync, readdirSync, readFileSync, statfsSync, statSync } from "node:fs";
import { release } from "node:os";
import type { DaemonConfig } from "../config.ts";
import type { Engine } from "../engine.ts";
import { backing } from "../file-system.ts";
import { moduleFile } from "../preflight.ts";
import type { DoctorFacts } from "./doctor.ts";
import type { KernelFacts } from "./kernel.ts";
import type { MachineFacts, Socket } from "./machine.ts";
import type { NetworkingFacts } from "./networking.ts";
import { askedPrograms, type Program, type Versions } from "./programs.ts";

/** How long a program may take to tell its version, in milliseconds. */
const patience = 3000;

export async function gather(engine: Engine, config: DaemonConfig): Promise<DoctorFacts> {
  const [versions, networking] = await Promise.all([versionsOf(engine), networkingFacts(engine)]);
  const { apparmor } = engine.runtime;
  return {
    kernel: kernelFacts(engine),
    programs: { versions, runtime: engine.runtime.info, apparmor: apparmor.enabled },
    networking,
    machine: machineFacts(config),
  };
}

function kernelFacts({ host, runtime, limits }: Engine): KernelFacts {
  const users = wordOf("/proc/sys/user/max_user_namespaces");
  const most = wordOf("/proc/sys/net/netfilter/nf_conntrack_max");
  const { profile } = runtime.apparmor;
  return {
    release: release(),
    overlay: /\toverlay$/m.test(textOf("/proc/filesystems")) || moduleFile("overlay"),
    namespaces: readdirSync("/proc/self/ns"),
    ...(users !== undefined && { userNamespacesMost: Number(users) }),
    cgroups: host.cgroups,
    nfTables: hasNfTables(host.net),
    ...(most !== undefined && {
      conntrack: { count: Number(wordOf("/proc/sys/net/netfilter/nf_conntrack_count")), most: Number(most) },
    }),
    apparmor: { enabled: limits.apparmor, ...(profile !== undefined && { profile }) },
  };
}

function hasNfTables(net: Engine["host"]["net"]): boolean {
  try {
    net.rulesetGeneration();
    return true;
  } catch {
    return false;
  }
}

async function networkingFacts({ networks }: Engine): Promise<NetworkingFacts> {
  const filter = wordOf("/proc/sys/net/bridge/bridge-nf-call-iptables");
  return {
    ...(await networks.report()),
    forwarding: wordOf("/proc/sys/net/ipv4/ip_forward") === "1",
    ...(filter !== undefined && { bridgeFilter: filter === "1" }),
    legacyTables: textOf("/proc/net/ip_tables_names").split("\n").filter(Boolean),
  };
}

async function versionsOf({ host }: Engine): Promise<Versions> {
  return new Map(
    await Promise.all(
      askedPrograms.map(async (program) => [program.name, await said(host.processes, program)] as const),
    ),
  );
}

/** Some tell it on standard error, some end with a status that says nothing. */
async function said({ run }: Engine["host"]["processes"], { name, argument }: Program): Promise<string | undefined> {
  if (!Bun.which(name)) return undefined;
  try {
    const { stdout, stderr } = await run([name, argument], { signal: AbortSignal.timeout(patience) });
    return stdout || stderr;
  } catch {
    return "";
  }
}

function machineFacts({ dataRoot, hosts }: DaemonConfig): MachineFacts {
  const { bsize, bavail, blocks, ffree, files } = statfsSync(dataRoot);
  return {
    dataRoot,
    fileSystem: backing(dataRoot),
    space: { free: bavail * bsize, all: blocks * bsize },
    inodes: { free: ffree, all: files },
    now: Date.now(),
    notBefore: Math.max(...["/etc/os-release", process.execPath].map(changed)),
    sockets: hosts.map(socketAt),
    openFiles: Number(/^Max open files\s+(\d+)/m.exec(textOf("/proc/self/limits"))?.[1] ?? 0),
  };
}

function changed(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function socketAt(address: string): Socket {
  const path = address.startsWith("unix://") ? address.slice(7) : undefined;
  return { address, ...(path !== undefined && existsSync(path) && { mode: statSync(path).mode }) };
}

/** "" for a file that is not there. */
function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function wordOf(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
}
