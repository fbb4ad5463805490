import { readFileSync } from "node:fs";
import { constants } from "node:os";
import type { Row } from "./table.ts";

/** Attribute of a `kill` event whose signal does nothing to the container's first process; its value says why. */
export const ignoredKey = "dev.berth.ignored";

/** SIGKILL and SIGSTOP, which nobody can ignore that is sent them from outside its pid namespace. */
const certain: readonly number[] = [constants.signals.SIGKILL, constants.signals.SIGSTOP];

/** Why the signal does nothing to the container's first process; undefined when it may do something, or nobody knows. */
export function whyIgnored(row: Pick<Row, "pid">, signal: number): string | undefined {
  try {
    return ignored(readFileSync(`/proc/${row.pid}/status`, "utf8"), signal);
  } catch {
    return undefined; // it has ended
  }
}

/**
 * The same from the text of proc_pid_status(5). The first process of a pid namespace gets no default action: a signal that it
 * has no handler for is dropped (pid_namespaces(7)).
 */
export function ignored(status: string, signal: number): string | undefined {
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
  const has = (name: string) => ((BigInt(`0x${field(name) || "0"}`) >> BigInt(signal - 1)) & 1n) === 1n;
  if (certain.includes(signal) || field("SigCgt") === "" || has("SigCgt")) return undefined;
  const inner = field("NSpid").split(/\s+/);
  const first = inner.length > 1 && inner.at(-1) === "1";
  const who = `${first ? "PID 1" : "its first process"} (${field("Name")})`;
  if (has("SigIgn")) return `${who} ignores ${nameOf(signal)}`;
  if (!first) return undefined;
  return `${who} ignores ${nameOf(signal)}: it has no handler for it, and the kernel's default action does not apply to PID 1`;
}

function nameOf(signal: number): string {
  const known = Object.entries(constants.signals).find(([, number]) => number === signal);
  return known?.[0] ?? `signal ${signal}`;
}
