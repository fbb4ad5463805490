import { EngineError } from "../../errors/mod.ts";
import { attribute, type Message, type Netlink, NetlinkError, NLM, u32 } from "./netlink.ts";
import { AF_INET, ipv4Bytes } from "./syscalls.ts";

/** rtnetlink(7) messages, as linux/rtnetlink.h, if_link.h and if_addr.h number them. */
export const RTM = { newLink: 16, delLink: 17, getLink: 18, setLink: 19, newAddress: 20, newRoute: 24 } as const;
export const IFF_UP = 1;
const IFLA_IFNAME = 3;

export interface LinkHeader {
  readonly family?: number;
  readonly index?: number;
  readonly flags?: number;
  /** Which flags to change. */
  readonly change?: number;
}

/** struct ifinfomsg. */
export function linkHeader({ family = 0, index = 0, flags = 0, change = 0 }: LinkHeader): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt8(family, 0);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

export function linkUp(index: number): Message {
  return { type: RTM.newLink, flags: NLM.ack, body: linkHeader({ index, flags: IFF_UP, change: IFF_UP }) };
}

/** The index of a link by name; throws "not-found". */
export function linkIndex(netlink: Netlink, name: string): number {
  try {
    const body = Buffer.concat([linkHeader({}), attribute(IFLA_IFNAME, name)]);
    const [answer] = netlink.request([{ type: RTM.getLink, flags: NLM.ack, body }]);
    if (!answer) throw new EngineError("internal", `No answer about network link ${name}`);
    return answer.readInt32LE(4);
  } catch (err) {
    if (!(err instanceof NetlinkError)) throw err;
    throw new EngineError("not-found", `Network link ${name}: ${err.errno}`, { cause: err });
  }
}

export function addAddress(index: number, address: { readonly ip: string; readonly prefixLength: number }): Message {
  const [IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST] = [1, 2, 4];
  const header = Buffer.alloc(8);
  header.writeUInt8(AF_INET, 0);
  header.writeUInt8(address.prefixLength, 1);
  header.writeUInt32LE(index, 4);
  const ip = ipv4Bytes(address.ip);
  const host = 0xffff_ffff >>> address.prefixLength;
  const broadcast = Buffer.alloc(4);
  broadcast.writeUInt32BE((ip.readUInt32BE() | (address.prefixLength < 31 ? host : 0)) >>> 0);
  const attributes = [attribute(IFA_LOCAL, ip), attribute(IFA_ADDRESS, ip), attribute(IFA_BROADCAST, broadcast)];
  return {
    type: RTM.newAddress,
    flags: NLM.ack | NLM.create | NLM.excl,
    body: Buffer.concat([header, ...attributes]),
  };
}

export function defaultRoute(gateway: string, index?: number): Message {
  const [RTA_OIF, RTA_GATEWAY] = [4, 5];
  const [tableMain, protocolBoot, scopeUniverse, unicast] = [254, 3, 0, 1];
  const header = Buffer.from([AF_INET, 0, 0, 0, tableMain, protocolBoot, scopeUniverse, unicast, 0, 0, 0, 0]);
  const attributes = [attribute(RTA_GATEWAY, ipv4Bytes(gateway))];
  if (index !== undefined) attributes.push(attribute(RTA_OIF, u32(index)));
  return { type: RTM.newRoute, flags: NLM.ack | NLM.create | NLM.excl, body: Buffer.concat([header, ...attributes]) };
}
