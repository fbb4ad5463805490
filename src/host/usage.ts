import { closeSync, openSync, readFileSync, readSync } from "node:fs";

/** USER_HZ: what the kernel counts in towards programs, on every architecture that Berth runs on (time(7)). */
export const tickNs = 1e9 / 100;
/** user, nice, system, idle, iowait, irq, softirq: what Docker calls the system's CPU usage. */
const counted = 7;

export interface ProcessorTime {
  /** What all processors have done together since boot, idling included, in nanoseconds: grows by `online` seconds a second. */
  readonly totalNs: number;
  readonly online: number;
}

/** From proc_stat(5). */
export function processorTime(file = "/proc/stat"): ProcessorTime {
  const lines = readFileSync(file, "utf8").split("\n");
  const ticks = (lines[0] ?? "").split(/\s+/).slice(1, 1 + counted);
  return {
    totalNs: ticks.reduce((sum, text) => sum + Number(text), 0) * tickNs,
    online: lines.filter((line) => /^cpu\d/.test(line)).length,
  };
}

export interface InterfaceCounters {
  readonly name: string;
  readonly received: TrafficCounters;
  readonly sent: TrafficCounters;
}

export interface TrafficCounters {
  readonly bytes: number;
  readonly packets: number;
  readonly errors: number;
  readonly dropped: number;
}

/** A container that may make interfaces may make very many: what is read of the list, in bytes. */
const longestList = 64 * 1024;

/** The interfaces of a process's network namespace, without loopback (proc_pid_net(5)); none when it is gone. */
export function interfaceCounters(pid: number, proc = "/proc"): InterfaceCounters[] {
  return head(`${proc}/${pid}/net/dev`).split("\n").flatMap(interfaceLine);
}

/** `eth0: 1 2 3 …`: sixteen numbers, the first eight of what was received. */
function interfaceLine(line: string): InterfaceCounters[] {
  const match = /^\s*([^\s:]+):((?:\s+\d+){16})\s*$/.exec(line);
  if (!match || match[1] === "lo") return [];
  const numbers = (match[2] ?? "").trim().split(/\s+/).map(Number);
  return [{ name: match[1] ?? "", received: traffic(numbers.slice(0, 4)), sent: traffic(numbers.slice(8, 12)) }];
}

function traffic([bytes = 0, packets = 0, errors = 0, dropped = 0]: readonly number[]): TrafficCounters {
  return { bytes, packets, errors, dropped };
}

/** Procfs gives a page or so a read. A line that was cut off matches nothing. */
function head(file: string): string {
  let fd: number;
  try {
    fd = openSync(file, "r");
  } catch {
    return "";
  }
  try {
    const buffer = Buffer.alloc(longestList);
    let size = 0;
    for (let got = -1; got !== 0 && size < buffer.length; size += got)
      got = readSync(fd, buffer, size, buffer.length - size, null);
    return buffer.toString("utf8", 0, size);
  } catch {
    return ""; // it ended meanwhile
  } finally {
    closeSync(fd);
  }
}
