import { ptr } from "bun:ffi";
import { closeSync } from "node:fs";
import { systemError } from "../errno.ts";
import { connectFd } from "../fd-stream.ts";
import { address, errno } from "../libc.ts";
import { nftables } from "./netfilter.ts";
import { AF_NETLINK, openNetlink, protocols } from "./netlink.ts";
import { socketCalls } from "./syscalls.ts";

export interface RulesetWatcher {
  /** Somebody, this process or another one, has changed nft's ruleset; once for each transaction. */
  changed(): void;
  /** Nothing is told any more: more happened than the kernel keeps, or the watch was ended. */
  ended(): void;
}

/**
 * Listens for changes of the ruleset without costing anything while there are none: the kernel sends one message of 44
 * bytes for a transaction's new generation, and a filter in the socket drops all that it says besides (a message for
 * each element, among others).
 */
export async function watchRuleset(watcher: RulesetWatcher): Promise<Disposable> {
  const SOCK_NONBLOCK = 0o4000;
  const fd = openNetlink(protocols.netfilter, SOCK_NONBLOCK);
  try {
    subscribe(fd);
  } catch (err) {
    closeSync(fd);
    throw err;
  }
  const socket = await connectFd(fd, {
    data: () => watcher.changed(),
    close: () => watcher.ended(),
    error: () => undefined, // "close" follows
  });
  return { [Symbol.dispose]: () => socket.terminate() };
}

/** linux/netlink.h and nfnetlink.h. A group can be joined by a socket with an address only, any will do. */
function subscribe(fd: number): void {
  const [SOL_SOCKET, SO_ATTACH_FILTER, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES] = [1, 26, 270, 1, 7];
  const program = newGenerationsOnly();
  const filter = new DataView(new ArrayBuffer(16)); // struct sock_fprog
  filter.setUint16(0, program.length / 8, true);
  filter.setBigUint64(8, address(program), true);
  const own = Buffer.alloc(12); // struct sockaddr_nl
  own.writeUInt16LE(AF_NETLINK, 0);
  check(socketCalls.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, ptr(filter.buffer), filter.byteLength));
  check(socketCalls.bind(fd, ptr(own), own.length));
  const group = new Int32Array([NFNLGRP_NFTABLES]);
  check(socketCalls.setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, ptr(group), group.byteLength));
}

/** Looks at the type in a message's header, which is in the machine's order, where the filter reads in network order. */
function newGenerationsOnly(): Buffer {
  const NFT_MSG_NEWGEN = 15;
  const [loadHalf, jumpIfEqual, give] = [0x28, 0x15, 0x06];
  const typeAt = 4;
  return Buffer.concat([
    instruction(loadHalf, typeAt),
    instruction(jumpIfEqual, (NFT_MSG_NEWGEN << 8) | nftables, { otherwise: 1 }),
    instruction(give, 0xffffffff),
    instruction(give, 0),
  ]);
}

/** struct sock_filter (linux/filter.h): what a comparison skips when it does not hold. */
function instruction(code: number, value: number, { otherwise = 0 } = {}): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(otherwise, 3);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}

function check(result: number): void {
  if (result < 0) throw systemError("Watch the nft ruleset", errno());
}
