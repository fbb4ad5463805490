import { readlinkSync } from "node:fs";
import { after } from "../async/mod.ts";
import type { Parts } from "./parts.ts";

/** Milliseconds that a process has to become its program, once it is let go. */
const patience = 50;

/**
 * Lets a container's process go, and returns when it runs its own program: the runtime answers a moment earlier, and who
 * looked at the process in between (`top`) would see the runtime.
 */
export async function start(parts: Parts, id: string): Promise<void> {
  const { pid, record } = parts.tasks.get(id);
  const waiting = programOf(pid);
  await parts.runtimes.get(record.runtime).cli.must(["start", record.id]);
  for (let waited = 0; waited < patience && waiting !== undefined && programOf(pid) === waiting; waited++)
    await after(1);
}

/** undefined when the process has ended. */
function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}
