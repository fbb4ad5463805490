import { closeSync, readFileSync, writeSync } from "node:fs";
import { address, cString, libc } from "./libc.ts";

const SYS_MEMFD_CREATE = process.arch === "arm64" ? 279n : 319n;
const SYS_FCNTL = process.arch === "arm64" ? 25n : 72n;
const MFD_CLOEXEC = 0x1;
const MFD_ALLOW_SEALING = 0x2;
/** Linux 6.3: a host may forbid to execute what was not made with it. Older kernels refuse the flag. */
const MFD_EXEC = 0x10;
const F_ADD_SEALS = 1033n;
/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE. */
const allSeals = 0xfn;

/**
 * A copy of a program in memory that nobody can write to any more (memfd_create(2), F_ADD_SEALS of fcntl(2)), as a path
 * that this process and its descendants can execute for as long as this process lives. Undefined where the kernel refuses.
 */
export function sealedCopy(program: string): string | undefined {
  const fd = memoryFile(MFD_EXEC) ?? memoryFile(0);
  if (fd === undefined) return undefined;
  try {
    const bytes = readFileSync(program);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    const sealed = libc.syscall(SYS_FCNTL, BigInt(fd), F_ADD_SEALS, allSeals, 0n, 0n, 0n);
    if (Number(sealed) === 0) return `/proc/${process.pid}/fd/${fd}`;
  } catch {
    // No memory for it, or no such program: whoever runs the program itself learns which.
  }
  closeSync(fd);
  return undefined;
}

function memoryFile(flags: number): number | undefined {
  const name = cString("sealed");
  const wanted = BigInt(MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
  const fd = Number(libc.syscall(SYS_MEMFD_CREATE, address(name), wanted, 0n, 0n, 0n, 0n));
  return fd < 0 ? undefined : fd;
}
