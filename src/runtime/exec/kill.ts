import { readFileSync } from "node:fs";
import type { Parts } from "../parts.ts";

/** A process that was started in a container, besides its first. */
export interface Inside {
  readonly containerId: string;
  readonly pid: number;
}

/** Whether it is in the container's cgroup: if not, it has ended, and its pid may be somebody else's by now. */
export function isInside(parts: Parts, { containerId, pid }: Inside): boolean {
  return pidsOf(parts, containerId).includes(pid);
}

/** SIGKILL, if it is there. With "session" also for what shares its session, which either runtime makes for it. */
export async function killInside(parts: Parts, inside: Inside, scope: "process" | "session"): Promise<void> {
  const { containerId, pid } = inside;
  const first = parts.tasks.find(containerId)?.pid;
  const pids = pidsOf(parts, containerId);
  if (!pids.includes(pid) || pid === first) return;
  const session = scope === "session" ? sessionOf(pid) : undefined;
  const own = session !== undefined && (first === undefined || session !== sessionOf(first));
  const members = pids.filter((other) => other === pid || (own && sessionOf(other) === session));
  await parts.host.processes.run(["kill", "-KILL", ...members.map(String)], { env: {} });
}

function pidsOf(parts: Parts, containerId: string): number[] {
  const cgroup = parts.tasks.find(containerId)?.record.cgroup;
  return cgroup === undefined ? [] : parts.host.cgroups.pids(cgroup);
}

/** The sixth field of proc_pid_stat(5), counted from behind the name, which may hold anything. */
function sessionOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[3]);
  } catch {
    return undefined; // it has ended
  }
}
