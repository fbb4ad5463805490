import { closeSync } from "node:fs";
import { EngineError, wrap } from "../../errors/mod.ts";
import { furnishInside, type InsidePlan } from "./inside.ts";
import { openNamespace, type Runner } from "./namespace.ts";
import { attribute, type Message, Netlink, NetlinkError, NLM, nest, protocols, u32 } from "./netlink.ts";
import { IFF_UP, linkHeader, linkIndex, RTM } from "./route.ts";

export interface VethPlan extends InsidePlan {
  /** Name of the host's end, at most 15 bytes, and of the bridge that it becomes a port of. */
  readonly name: string;
  readonly bridge: string;
  /** Of the end inside: "02:42:…". */
  readonly macAddress: string;
  /** The port cannot talk to other isolated ports of its bridge. */
  readonly isolated?: boolean;
}

const IFLA = { address: 1, ifname: 3, mtu: 4, master: 10, protinfo: 12, linkinfo: 18, netnsFd: 28 } as const;
const AF_BRIDGE = 7;

export async function plugVeth(runner: Runner, plan: VethPlan): Promise<void> {
  using host = new Netlink(protocols.route);
  const bridge = linkIndex(host, plan.bridge);
  createPair(host, plan, bridge);
  try {
    host.request([portFlags(linkIndex(host, plan.name), plan.isolated ?? false)]);
    await furnishInside(runner, plan);
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

function named(name: string): Buffer {
  return Buffer.concat([linkHeader({}), attribute(IFLA.ifname, name)]);
}
