import { type Message, Netlink, protocols } from "./netlink.ts";
import { AF_INET, AF_INET6 } from "./syscalls.ts";

/** Subsystems: the upper byte of a message's type (linux/netfilter/nfnetlink.h). */
export const nftables = 10;
export const conntrack = 1;

let socket: Netlink | undefined;

/**
 * The socket for requests. It is never closed: closing one waits for what was deleted to be freed, 5 to 20 ms
 * (nft_rcv_nl_event in net/netfilter/nf_tables_api.c).
 */
export function netfilter(): Netlink {
  socket ??= new Netlink(protocols.netfilter).withLargeSends();
  return socket;
}

/** The bodies of all that a request lists, at one moment. Throws {@link NetlinkError}. */
export function listing(message: Message): Buffer[] {
  return netfilter().list(message);
}

/** struct nfgenmsg; the resource id is big-endian. Without a family: all of them. */
export function netfilterHeader(family?: "ip" | "ip6", resource = 0): Buffer {
  const number = family === undefined ? 0 : family === "ip" ? AF_INET : AF_INET6;
  return Buffer.from([number, 0, resource >> 8, resource & 0xff]);
}
