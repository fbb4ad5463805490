import { EngineError } from "../../errors/mod.ts";
import { attribute, attributesOf, type Netlink, NetlinkError, NLM } from "./netlink.ts";

/** rtnetlink(7) messages, as linux/rtnetlink.h and if_link.h number them. */
export const RTM = { newLink: 16, delLink: 17, getLink: 18, setLink: 19, getRoute: 26 } as const;
export const IFF_UP = 1;
const [IFLA_IFNAME, IFLA_LINKINFO, IFLA_INFO_KIND] = [3, 18, 1];
const headerLength = 16;

export interface LinkHeader {
  readonly family?: number;
  readonly index?: number;
  readonly flags?: number;
  /** Which flags to change. */
  readonly change?: number;
}

/** struct ifinfomsg. */
export function linkHeader({ family = 0, index = 0, flags = 0, change = 0 }: LinkHeader): Buffer {
  const header = Buffer.alloc(headerLength);
  header.writeUInt8(family, 0);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

/** The index of a link by name; throws "not-found". */
export function linkIndex(netlink: Netlink, name: string): number {
  const body = Buffer.concat([linkHeader({}), attribute(IFLA_IFNAME, name)]);
  const answer = askLink(netlink, body);
  if (!answer) throw new EngineError("not-found", `Network link ${name}: ENODEV`);
  return answer.readInt32LE(4);
}

/** Undefined when there is no such link. */
export function linkName(netlink: Netlink, index: number): string | undefined {
  const answer = askLink(netlink, linkHeader({ index }));
  return answer && text(attributesOf(answer, headerLength).get(IFLA_IFNAME));
}

/** "bridge", "veth", "vlan" …, "" for hardware; undefined when there is no such link. */
export function linkKind(netlink: Netlink, name: string): string | undefined {
  const answer = askLink(netlink, Buffer.concat([linkHeader({}), attribute(IFLA_IFNAME, name)]));
  if (!answer) return undefined;
  const info = attributesOf(answer, headerLength).get(IFLA_LINKINFO);
  return (info && text(attributesOf(info).get(IFLA_INFO_KIND))) ?? "";
}

function askLink(netlink: Netlink, body: Buffer): Buffer | undefined {
  try {
    const [answer] = netlink.request([{ type: RTM.getLink, flags: NLM.ack, body }]);
    if (!answer) throw new EngineError("internal", "No answer about a network link");
    return answer;
  } catch (err) {
    if (err instanceof NetlinkError && err.errno === "ENODEV") return undefined;
    throw err instanceof NetlinkError ? new EngineError("internal", `Ask for a network link: ${err.errno}`) : err;
  }
}

function text(bytes: Buffer | undefined): string | undefined {
  return bytes?.toString().replace(/\0.*$/s, "");
}
