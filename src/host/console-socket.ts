import { closeSync, constants, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import { EngineError } from "../errors/mod.ts";
import type { ConsoleSocket, Pty } from "./host.ts";
import { address, errno, libc } from "./libc.ts";
import { socketAddress } from "./packet-socket.ts";
import { createPty } from "./pty.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const O_PATH = 0o10000000;

/** See {@link Processes.consoleSocket}. */
export function consoleSocket(path: string): ConsoleSocket {
  const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw new EngineError("internal", `Make a socket: errno ${errno()}`);
  try {
    listenAt(fd, path);
  } catch (err) {
    closeSync(fd);
    throw err;
  }
  return { receive: () => receive(fd), [Symbol.dispose]: () => closeSync(fd) };
}

/** By way of the directory's descriptor, because sun_path takes 107 bytes only. */
function listenAt(fd: number, path: string): void {
  const directory = openSync(dirname(path), O_PATH | constants.O_DIRECTORY);
  try {
    const name = socketAddress(`/proc/self/fd/${directory}/${basename(path)}`);
    if (libc.bind(fd, name, name.length) === 0 && libc.listen(fd, 1) === 0) return;
    throw new EngineError("internal", `Listen on ${path}: errno ${errno()}`);
  } finally {
    closeSync(directory);
  }
}

function receive(fd: number): Pty | undefined {
  const connection = libc.accept4(fd, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection < 0) return undefined;
  try {
    const sent = receiveFd(connection);
    return sent === undefined ? undefined : createPty(sent);
  } finally {
    closeSync(connection);
  }
}

/** struct msghdr and struct cmsghdr of 64-bit Linux (recvmsg(2), cmsg(3)), with room for one descriptor. */
function receiveFd(connection: number): number | undefined {
  const data = new Uint8Array(256);
  const control = new DataView(new ArrayBuffer(24));
  const vector = new BigUint64Array([address(data), BigInt(data.length)]);
  const controls = new Uint8Array(control.buffer);
  const header = new DataView(new ArrayBuffer(56));
  header.setBigUint64(16, address(new Uint8Array(vector.buffer)), true);
  header.setBigUint64(24, 1n, true);
  header.setBigUint64(32, address(controls), true);
  header.setBigUint64(40, BigInt(controls.length), true);
  const got = libc.recvmsg(connection, new Uint8Array(header.buffer), MSG_CMSG_CLOEXEC);
  const rights = control.getInt32(8, true) === SOL_SOCKET && control.getInt32(12, true) === SCM_RIGHTS;
  return got > 0n && rights && header.getBigUint64(40, true) >= 20n ? control.getInt32(16, true) : undefined;
}
