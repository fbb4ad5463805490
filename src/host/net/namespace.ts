import { closeSync, existsSync, openSync, rmSync } from "node:fs";
import { EngineError, wrap } from "../../errors/mod.ts";
import { systemError } from "../errno.ts";
import type { Processes } from "../host.ts";
import { errno, libc } from "../libc.ts";
import { bindNamespace, claimPath, removeNamespace, withProcess } from "../namespace-files.ts";
import { missingProgram } from "../programs.ts";

/**
 * Namespaces are made and entered by programs only, never by this process: a thread inherits the namespace of the one
 * that starts it, and JavaScriptCore starts collector and compiler threads whenever it likes. With setns(2) in the main
 * thread one call in some hundred left such a thread behind, which kept the namespace and its veth alive for as long as
 * the daemon (seen with Bun 1.4.5). {@link insideNamespace} is for a namespace that lasts as long as the process.
 */
export type Runner = Pick<Processes, "run" | "spawn">;

/**
 * IPv6 is off for interfaces to come, not just without an address: with a router advertisement any container could make
 * itself the IPv6 router of the others on its bridge (CVE-2020-13401). No such file on a kernel without IPv6.
 */
const disableIpv6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6";
const furnish = `{ [ ! -e ${disableIpv6} ] || echo 1 >${disableIpv6}; } && ip link set lo up`;

/** One process, which unshares, binds its namespace at the path, and becomes ip(8). */
export async function createNamespace(runner: Runner, path: string, owner?: string): Promise<void> {
  claimPath(path);
  try {
    if (owner === undefined) await inside(runner, ["unshare", `--net=${path}`, "sh", "-c", furnish]);
    else await createOwned(runner, path, owner);
  } catch (err) {
    removeNamespace(path);
    throw wrap(err, `Create a network namespace at ${path}`);
  }
}

/** As root of a user namespace, who may not mount anything out here: we bind it. */
async function createOwned(runner: Runner, path: string, owner: string): Promise<void> {
  const argv = ["nsenter", `--user=${owner}`, "unshare", "--net", "sh", "-c", `${furnish} && exec cat`];
  await withProcess(runner, argv, (pid) => bindNamespace(`/proc/${pid}/ns/net`, path));
}

/** The new name comes first: a crash in between leaves two, and each is removed by itself. */
export function moveNamespace(from: string, to: string): void {
  claimPath(to);
  try {
    bindNamespace(from, to);
  } catch (err) {
    rmSync(to);
    throw err;
  }
  removeNamespace(from);
}

/** Runs lines of ip(8) in a namespace, in one process, after these commands of a shell; stops at the first that fails. */
export async function ipInside(
  runner: Runner,
  namespace: string,
  { lines, before = [] }: { readonly lines: readonly string[]; readonly before?: readonly string[] },
): Promise<void> {
  if (!existsSync(namespace)) throw absent(namespace);
  const ip = ["ip", "-batch", "-"];
  const program = before.length === 0 ? ip : ["sh", "-ec", [...before, `exec ${ip.join(" ")}`].join("; ")];
  await inside(runner, ["nsenter", `--net=${namespace}`, ...program], `${lines.join("\n")}\n`);
}

const CLONE_NEWNET = 0x40000000;

/**
 * Runs `body` with this thread in the namespace, for sockets, which stay where they were made. `body` must be synchronous,
 * and the namespace one that is there for as long as this process: a thread that the engine of the language starts
 * meanwhile stays in it. Ends the process when there is no way back, since nothing would be where it seems to be.
 */
export function insideNamespace<T>(path: string, body: () => T): T {
  const home = openSync("/proc/thread-self/ns/net", "r");
  const namespace = openNamespace(path);
  try {
    if (libc.setns(namespace, CLONE_NEWNET) < 0) throw systemError(`Enter ${path}`, errno());
    try {
      return body();
    } finally {
      if (libc.setns(home, CLONE_NEWNET) < 0) process.abort();
    }
  } finally {
    closeSync(namespace);
    closeSync(home);
  }
}

export function openNamespace(path: string): number {
  try {
    return openSync(path, "r");
  } catch (err) {
    throw absent(path, err);
  }
}

function absent(path: string, cause?: unknown): EngineError {
  return new EngineError("not-found", `Network namespace ${path} not found`, { cause });
}

/** 127 is what a shell and util-linux say when the program that they are to become, ip(8), is not there. */
async function inside(runner: Runner, argv: readonly string[], stdin?: string): Promise<void> {
  const { code, stderr } = await runner.run(argv, stdin === undefined ? {} : { stdin });
  if (code === 127) throw new EngineError("unavailable", missingProgram("ip"));
  if (code !== 0) throw new EngineError("internal", stderr.trim() || `${argv[0]} ended with exit code ${code}`);
}
