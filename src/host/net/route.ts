import { EngineError } from "../../errors/mod.ts";
import { attribute, type Netlink, NetlinkError, NLM } from "./netlink.ts";

/** rtnetlink(7) messages, as linux/rtnetlink.h and if_link.h number them. */
export const RTM = { newLink: 16, delLink: 17, getLink: 18, setLink: 19 } as const;
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
