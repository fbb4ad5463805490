import { address, libc } from "./libc.ts";

const SYS_SCHED_SETSCHEDULER = process.arch === "arm64" ? 119n : 144n;
const SCHED_FIFO = 1;
const SCHED_RESET_ON_FORK = 0x40000000;

/** See {@link Processes.hurry}. */
export function hurry(pid: number): void {
  const priority = new Uint8Array(new Int32Array([1]).buffer);
  const policy = BigInt(SCHED_FIFO | SCHED_RESET_ON_FORK);
  libc.syscall(SYS_SCHED_SETSCHEDULER, BigInt(pid), policy, address(priority), 0n, 0n, 0n);
}
