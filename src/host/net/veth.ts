import { closeSync } from "node:fs";
import { EngineError, wrap } from "../../errors/mod.ts";
import { ipInside, openNamespace, type Runner } from "./namespace.ts";
import { attribute, type Message, Netlink, NetlinkError, NLM, nest, protocols, u32 } from "./netlink.ts";
import { IFF_UP, linkHeader, linkIndex, RTM } from "./route.ts";

export interface VethPlan {
  /** Name of the host's end, at most 15 bytes, and of the bridge that it becomes a port of. */
  readonly name: string;
  readonly bridge: string;
  /** Path of the namespace, and the name and MAC address ("02:42:…") of the end inside. */
  readonly namespace: string;
  readonly inside: string;
  readonly macAddress: string;
  /** IPv4. */
  readonly address: string;
  readonly prefixLength: number;
  /** IPv6 beside it: an address, its prefix length, and the gateway of its default route. */
  readonly six?: { readonly address: string; readonly prefixLength: number; readonly gateway?: string };
  /** Default route inside; none without it. */
  readonly gateway?: string;
  /** Further routes inside, by way of the end that is there; `local` ones are addresses of the namespace itself. */
  readonly routes?: readonly VethRoute[];
  readonly mtu?: number;
  /** The port cannot talk to other isolated ports of its bridge. */
  readonly isolated?: boolean;
}

export interface VethRoute {
  /** An address or a subnet. */
  readonly to: string;
  /** What packets that go there have as their sender, unless a program says otherwise. */
  readonly source?: string;
  readonly local?: boolean;
}

const IFLA = { address: 1, ifname: 3, mtu: 4, master: 10, protinfo: 12, linkinfo: 18, netnsFd: 28 } as const;
const AF_BRIDGE = 7;

export async function plugVeth(runner: Runner, plan: VethPlan): Promise<void> {
  using host = new Netlink(protocols.route);
  const bridge = linkIndex(host, plan.bridge);
  createPair(host, plan, bridge);
  try {
    host.request([portFlags(linkIndex(host, plan.name), plan.isolated ?? false)]);
    const before = plan.six ? [allowSix(plan.inside)] : [];
    await ipInside(runner, plan.namespace, { lines: insideLines(plan), before });
  } catch (err) {
    host.request([{ type: RTM.delLink, flags: NLM.ack, body: named(plan.name) }]);
    throw wrap(err, `Plug ${plan.name} into ${plan.bridge}`);
  }
}

/** Only off the bridge and down: deleting waits for a grace period of the kernel, 15 to 50 ms. */
export function unplugVeth(name: string): void {
  using netlink = new Netlink(protocols.route);
  const header = linkHeader({ change: IFF_UP });
  const body = Buffer.concat([header, attribute(IFLA.ifname, name), attribute(IFLA.master, u32(0))]);
  try {
    netlink.request([{ type: RTM.newLink, flags: NLM.ack, body }]);
  } catch (err) {
    if (err instanceof NetlinkError && err.errno === "ENODEV") return;
    throw new EngineError("internal", `Unplug ${name}: ${String(err)}`, { cause: err });
  }
}

/** One message makes both ends, each named and in its namespace; the far end never shows up on the host. */
function createPair(host: Netlink, plan: VethPlan, bridge: number): void {
  const [INFO_KIND, INFO_DATA, VETH_INFO_PEER] = [1, 2, 1];
  const namespace = openNamespace(plan.namespace);
  const mtu = plan.mtu === undefined ? [] : [attribute(IFLA.mtu, u32(plan.mtu))];
  const up = linkHeader({ flags: IFF_UP, change: IFF_UP });
  const peer = Buffer.concat([
    linkHeader({}), // a veth without its other end, as it is during this call, cannot be set up
    attribute(IFLA.ifname, plan.inside),
    attribute(IFLA.address, Buffer.from(plan.macAddress.replaceAll(":", ""), "hex")),
    attribute(IFLA.netnsFd, u32(namespace)),
    ...mtu,
  ]);
  const data = nest(INFO_DATA, attribute(VETH_INFO_PEER | 0x8000, peer));
  const info = nest(IFLA.linkinfo, attribute(INFO_KIND, "veth"), data);
  const body = Buffer.concat([
    up,
    attribute(IFLA.ifname, plan.name),
    attribute(IFLA.master, u32(bridge)),
    ...mtu,
    info,
  ]);
  try {
    host.request([{ type: RTM.newLink, flags: NLM.ack | NLM.create | NLM.excl, body }]);
  } catch (err) {
    throw wrap(err, `Plug ${plan.name} into ${plan.bridge}`);
  } finally {
    closeSync(namespace);
  }
}

/** A packet that a container sends to its own published port goes out where it came in: hairpin. */
function portFlags(index: number, isolated: boolean): Message {
  const [BRPORT_MODE, BRPORT_ISOLATED] = [4, 33];
  const flags = [attribute(BRPORT_MODE, Buffer.of(1))];
  if (isolated) flags.push(attribute(BRPORT_ISOLATED, Buffer.of(1)));
  const body = Buffer.concat([linkHeader({ family: AF_BRIDGE, index }), nest(IFLA.protinfo, ...flags)]);
  return { type: RTM.setLink, flags: NLM.ack, body };
}

/** Off in every new namespace (see namespace.ts); addresses come from the engine, not from whoever advertises some. */
function allowSix(inside: string): string {
  const settings = `/proc/sys/net/ipv6/conf/${inside}`;
  return `echo 0 >${settings}/accept_ra; echo 0 >${settings}/disable_ipv6`;
}

function sixLines({ inside, six }: VethPlan): string[] {
  if (!six) return [];
  const route = six.gateway === undefined ? [] : [`route add default via ${six.gateway} dev ${inside}`];
  return [`addr add ${six.address}/${six.prefixLength} dev ${inside} nodad`, ...route];
}

function insideLines(plan: VethPlan): string[] {
  const { inside, address, prefixLength, gateway, routes = [] } = plan;
  const broadcast = prefixLength < 31 ? "broadcast + " : "";
  return [
    `addr add ${address}/${prefixLength} ${broadcast}dev ${inside}`,
    `link set ${inside} up`,
    ...sixLines(plan),
    ...(gateway === undefined ? [] : [`route add default via ${gateway} dev ${inside}`]),
    ...routes.map((route) => routeLine(route, inside)),
  ];
}

export function routeLine({ to, source, local = false }: VethRoute, inside: string): string {
  const sender = source === undefined ? "" : ` src ${source}`;
  return local ? `route replace local ${to} dev lo table local${sender}` : `route replace ${to} dev ${inside}${sender}`;
}

function named(name: string): Buffer {
  return Buffer.concat([linkHeader({}), attribute(IFLA.ifname, name)]);
}
