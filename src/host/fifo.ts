import { EngineError } from "../errors/mod.ts";
import { address, errno, libc } from "./libc.ts";

const FIONREAD = 0x541bn;
const SYS_IOCTL = process.arch === "arm64" ? 29n : 16n;

/** How many bytes in this pipe or FIFO nobody has read yet; either end's descriptor will do. */
export function unreadBytes(fd: number): number {
  const count = new Int32Array(1);
  const failed = libc.syscall(SYS_IOCTL, BigInt(fd), FIONREAD, address(new Uint8Array(count.buffer)), 0n, 0n, 0n);
  if (Number(failed) !== 0) throw new EngineError("internal", `Look into a pipe: errno ${errno()}`);
  return count[0] ?? 0;
}
