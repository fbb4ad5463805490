import { ptr } from "bun:ffi";
import { errnoName } from "../errno.ts";
import { errno, libc } from "../libc.ts";
import { AF_INET, AF_INET6, ipv4Bytes, ipv6Bytes, SOCK_CLOEXEC, socketCalls } from "./syscalls.ts";

const IPPROTO_SCTP = 132;

export interface PortRequest {
  readonly protocol: "tcp" | "udp" | "sctp";
  /** IPv4 or IPv6; "0.0.0.0" and "::" are all of their kind. */
  readonly address: string;
  /** 0 asks the kernel for a free one. */
  readonly port: number;
}

/** `code` is errno's name: EADDRINUSE, EADDRNOTAVAIL, EACCES …; EPROTONOSUPPORT for SCTP where the kernel has no such sockets. */
export class PortError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/**
 * Ports of the host that no other program can take until they are released, or this process ends. Each is a socket; so
 * that ten thousand of them do not use up the descriptors that this process may have, all but the last few lie in
 * parcels of 64. A few are descriptors of this process, which `ss -p` names as the holder.
 */
export interface PortGroup extends Disposable {
  /** The port, which the kernel has chosen where 0 was asked for. Throws {@link PortError}. */
  reserve(request: PortRequest): number;
  /** No error for one that is not the group's. */
  release(ports: readonly PortRequest[]): void;
}

/** An open socket, which has the port until it is closed. */
export interface BoundPort {
  readonly fd: number;
  readonly port: number;
}

/**
 * Binds a socket, and listens where there are connections: a bound one alone could be shared by whoever sets
 * SO_REUSEADDR, and without SO_REUSEADDR the remains of old connections (TIME_WAIT) would refuse a port that is free.
 * Nobody reads it: nft turns packets away before they reach a socket. Throws {@link PortError}.
 */
export function bindPort({ protocol, address, port }: PortRequest): BoundPort {
  const [SOCK_STREAM, SOCK_DGRAM] = [1, 2];
  const six = address.includes(":");
  const connects = protocol !== "udp";
  const type = (connects ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC;
  const fd = libc.socket(six ? AF_INET6 : AF_INET, type, protocol === "sctp" ? IPPROTO_SCTP : 0);
  if (fd < 0) throw new PortError(errnoName(errno()));
  try {
    if (connects) reuseAddress(fd);
    if (six) keepToSix(fd);
    const where = six ? socketAddress6(address, port) : socketAddress(address, port);
    check(socketCalls.bind(fd, ptr(where), where.length));
    if (connects) check(socketCalls.listen(fd, protocol === "sctp" ? 1 : 0)); // 0 makes an SCTP socket stop listening
    return { fd, port: port === 0 ? portOf(fd) : port };
  } catch (err) {
    libc.close(fd);
    throw err;
  }
}

/**
 * Lets that many bytes wait for a socket's reader, whatever the host's limit for all programs is (SO_RCVBUFFORCE, socket(7)).
 * Where this process may not do that (no CAP_NET_ADMIN) as many as it may.
 */
export function widenReceiveBuffer(socket: object, bytes: number): void {
  const [SOL_SOCKET, SO_RCVBUF, SO_RCVBUFFORCE] = [1, 8, 33];
  const fd = "fd" in socket && typeof socket.fd === "number" ? socket.fd : -1; // which Bun's types leave out
  const size = new Int32Array([bytes / 2]); // the kernel doubles it, for its own accounts
  if (socketCalls.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, ptr(size), 4) >= 0) return;
  check(socketCalls.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, ptr(size), 4));
}

function check(result: number): void {
  if (result < 0) throw new PortError(errnoName(errno()));
}

function reuseAddress(fd: number): void {
  const [SOL_SOCKET, SO_REUSEADDR] = [1, 2];
  const on = new Int32Array([1]);
  check(socketCalls.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, ptr(on), 4));
}

/** IPv4 is another reservation's business (ipv6(7), IPV6_V6ONLY). */
function keepToSix(fd: number): void {
  const [IPPROTO_IPV6, IPV6_V6ONLY] = [41, 26];
  const on = new Int32Array([1]);
  check(socketCalls.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, ptr(on), 4));
}

/** struct sockaddr_in6, in the host's scope. */
function socketAddress6(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipv6Bytes(address), 8);
  return bytes;
}

/** struct sockaddr_in. */
function socketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipv4Bytes(address), 4);
  return bytes;
}

function portOf(fd: number): number {
  const bytes = Buffer.alloc(28);
  const length = new Uint32Array([28]);
  check(socketCalls.getsockname(fd, ptr(bytes), ptr(length)));
  return bytes.readUInt16BE(2);
}
