import { setImmediate } from "node:timers/promises";
import { conntrack, netfilterHeader } from "./netfilter.ts";
import { attribute, attributesOf, type Message, Netlink, NetlinkError, NLM, nest, protocols, u32 } from "./netlink.ts";
import { ipv4Bytes, ipv6Bytes } from "./syscalls.ts";

/** Which flows: all conditions that are given must hold. */
export interface FlowFilter {
  readonly family: "ip" | "ip6";
  /** IANA's number: 17 for UDP, 132 for SCTP. */
  readonly protocol: number;
  /** What the first packet was sent to, before any translation. */
  readonly ports?: ReadonlySet<number>;
  /** Who answers, after all translation. */
  readonly answeredBy?: string;
}

/** linux/netfilter/nfnetlink_conntrack.h. */
const [GET, DELETE] = [1, 2];
const CTA = { original: 1, reply: 2, id: 12, zone: 18, filter: 25 } as const;
const TUPLE = { ip: 1, protocol: 2 } as const;
const ADDRESS = { source4: 1, source6: 3 } as const;
const PORTS = { number: 1, destination: 3 } as const;

/** A socket of its own, because other requests may come between the parts of a listing. Not closed, as in netfilter.ts. */
let socket: Netlink | undefined;
let last: Promise<unknown> = Promise.resolve();

/**
 * Makes the kernel forget flows, so that their next packets are looked at like those of a new one. Others get their turn
 * between the parts of the table, which may have a hundred thousand entries. Gives how many they were.
 */
export function forgetFlows(filter: FlowFilter): Promise<number> {
  const done = last.then(() => forget(filter));
  last = done.catch(() => undefined);
  return done;
}

async function forget(filter: FlowFilter): Promise<number> {
  socket ??= new Netlink(protocols.netfilter);
  const found: Message[] = [];
  for (const part of socket.dump(listing(filter))) {
    found.push(...part.flatMap((body) => deletion(body, filter)));
    await setImmediate();
  }
  for (const message of found) forgetOne(socket, message);
  return found.length;
}

/** The kernel leaves out other protocols by itself from Linux 5.8 on. */
function listing({ family, protocol }: FlowFilter): Message {
  const [ORIGINAL_FLAGS, PROTOCOL_NUMBER] = [1, 1 << 3];
  const tuple = nest(CTA.original, nest(TUPLE.protocol, attribute(PORTS.number, Buffer.of(protocol))));
  const filter = nest(CTA.filter, attribute(ORIGINAL_FLAGS, u32(PROTOCOL_NUMBER)));
  return { type: (conntrack << 8) | GET, flags: 0, body: Buffer.concat([netfilterHeader(family), tuple, filter]) };
}

/** Names the flow by what the listing said of it; nothing for one that does not match. */
function deletion(body: Buffer, filter: FlowFilter): Message[] {
  const entry = attributesOf(body, netfilterHeader().length);
  const [original, reply] = [entry.get(CTA.original), entry.get(CTA.reply)];
  if (!original || !reply || !matches({ original, reply }, filter)) return [];
  const parts = ([CTA.original, CTA.id, CTA.zone] as const).flatMap((type) => {
    const value = entry.get(type);
    return value ? [type === CTA.original ? nest(type, value) : attribute(type, value)] : [];
  });
  const header = netfilterHeader(filter.family);
  return [{ type: (conntrack << 8) | DELETE, flags: NLM.ack, body: Buffer.concat([header, ...parts]) }];
}

function matches(flow: { original: Buffer; reply: Buffer }, { protocol, ports, answeredBy }: FlowFilter): boolean {
  const sent = partsOf(flow.original, TUPLE.protocol);
  if (sent.get(PORTS.number)?.[0] !== protocol) return false;
  if (ports && !ports.has(sent.get(PORTS.destination)?.readUInt16BE(0) ?? 0)) return false;
  if (answeredBy === undefined) return true;
  const addresses = partsOf(flow.reply, TUPLE.ip);
  const six = answeredBy.includes(":");
  const wanted = six ? ipv6Bytes(answeredBy) : ipv4Bytes(answeredBy);
  return addresses.get(six ? ADDRESS.source6 : ADDRESS.source4)?.equals(wanted) ?? false;
}

function partsOf(tuple: Buffer, part: number): Map<number, Buffer> {
  return attributesOf(attributesOf(tuple).get(part) ?? Buffer.alloc(0));
}

function forgetOne(netlink: Netlink, message: Message): void {
  try {
    netlink.request([message]);
  } catch (err) {
    if (!(err instanceof NetlinkError) || err.errno !== "ENOENT") throw err; // it has ended by itself
  }
}
