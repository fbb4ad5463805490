import { closeSync } from "node:fs";
import { systemError } from "../errno.ts";
import { socketPair } from "../fd-stream.ts";
import { address, errno, libc } from "../libc.ts";
import { socketCalls } from "./syscalls.ts";

/**
 * Descriptors on their way to nobody: sent through a pair of sockets whose one end is closed and whose other is never
 * read, so they are open files of the kernel without being descriptors of this process (unix(7), SCM_RIGHTS). They end
 * with the parcel, which is one descriptor, or with this process.
 */
export type Parcel = number & { readonly parcel: unique symbol };

/** The kernel takes at most 253 in a message (SCM_MAX_FD in net/scm.h). */
export const parcelSize = 64;

const [SOL_SOCKET, SCM_RIGHTS] = [1, 1];
const controlHeader = 16;

/**
 * Takes over the descriptors, at most {@link parcelSize}. Undefined, and they stay what they are, where the kernel
 * refuses: without CAP_SYS_ADMIN there may be as many on their way as one process may have open.
 */
export function pack(fds: readonly number[]): Parcel | undefined {
  const { ours, theirs } = socketPair();
  const control = Buffer.alloc(controlHeader + fds.length * 4);
  control.writeBigUInt64LE(BigInt(control.length), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  for (const [index, fd] of fds.entries()) control.writeInt32LE(fd, controlHeader + index * 4);
  const sent = withMessage(control, (header) => socketCalls.sendmsg(theirs, header, 0));
  closeSync(theirs);
  if (sent < 0) {
    closeSync(ours);
    return undefined;
  }
  for (const fd of fds) closeSync(fd);
  return ours as Parcel;
}

/** The descriptors, in their order, instead of the parcel; only the first ones, and the others are closed, where this process may have no more. */
export function unpack(parcel: Parcel): number[] {
  const MSG_CMSG_CLOEXEC = 0x40000000;
  const control = Buffer.alloc(controlHeader + parcelSize * 4);
  const got = withMessage(control, (header) => libc.recvmsg(parcel, header, MSG_CMSG_CLOEXEC));
  if (got < 0) throw systemError("Take descriptors out of a parcel", errno());
  closeSync(parcel);
  const length = Number(control.readBigUInt64LE(0)) - controlHeader;
  return Array.from({ length: length / 4 }, (_, index) => control.readInt32LE(controlHeader + index * 4));
}

/** A message (struct msghdr of 64-bit Linux) of one byte, since none is sent without any, and this control data. */
function withMessage(control: Buffer, call: (header: Uint8Array) => number | bigint): number {
  const data = new Uint8Array(1);
  const vector = new BigUint64Array([address(data), 1n]);
  const header = new BigUint64Array(7);
  header[2] = address(new Uint8Array(vector.buffer));
  header[3] = 1n;
  header[4] = address(control);
  header[5] = BigInt(control.length);
  return Number(call(new Uint8Array(header.buffer)));
}
