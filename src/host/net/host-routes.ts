import { wrap } from "../../errors/mod.ts";
import { attributesOf, Netlink, protocols } from "./netlink.ts";
import { linkName, RTM } from "./route.ts";
import { AF_INET, AF_INET6 } from "./syscalls.ts";

/** A route of the host, of whatever table. */
export interface HostRoute {
  /** Four or sixteen bytes, without host bits; what the route leads to. */
  readonly destination: Buffer;
  /** 0 for a default route. */
  readonly prefixLength: number;
  /** Index of the link that it goes by; 0 for none, or several. */
  readonly link: number;
}

/** rtnetlink(7): struct rtmsg, and the attributes that are looked at. */
const header = { length: 12, destinationLength: 1 } as const;
const [RTA_DST, RTA_OIF] = [1, 4];

export function hostRoutes(family: 4 | 6): HostRoute[] {
  using netlink = new Netlink(protocols.route);
  const body = Buffer.alloc(header.length);
  body.writeUInt8(family === 4 ? AF_INET : AF_INET6);
  try {
    return netlink.list({ type: RTM.getRoute, flags: 0, body }).map((answer) => parse(answer, family));
  } catch (err) {
    throw wrap(err, "Read the host's routes");
  }
}

/** The name of the link of a route; undefined when it has none, or the link has gone. */
export function routeLink({ link }: HostRoute): string | undefined {
  if (link === 0) return undefined;
  using netlink = new Netlink(protocols.route);
  return linkName(netlink, link);
}

function parse(answer: Buffer, family: 4 | 6): HostRoute {
  const attributes = attributesOf(answer, header.length);
  return {
    destination: attributes.get(RTA_DST) ?? Buffer.alloc(family === 4 ? 4 : 16),
    prefixLength: answer.readUInt8(header.destinationLength),
    link: attributes.get(RTA_OIF)?.readInt32LE(0) ?? 0,
  };
}
