import { randomBytes } from "node:crypto";
import { closeSync } from "node:fs";
import { EngineError, wrap } from "../../errors/mod.ts";
import { furnishInside, type InsidePlan } from "./inside.ts";
import { ipInside, openNamespace, type Runner } from "./namespace.ts";
import { attribute, Netlink, NetlinkError, NLM, nest, protocols, u32 } from "./netlink.ts";
import { linkHeader, linkIndex, RTM } from "./route.ts";

/** An interface of its own on a link of the host: macvlan has a MAC address of its own, ipvlan the link's. */
export interface VlanPlan extends InsidePlan {
  /** Name of the host's link. */
  readonly parent: string;
  readonly kind: VlanKind;
  /** macvlan: one is chosen without it, or the parent's in mode passthru. */
  readonly macAddress?: string;
}

export type VlanKind =
  | { readonly type: "macvlan"; readonly mode: keyof typeof macvlanModes }
  | {
      readonly type: "ipvlan";
      readonly mode: keyof typeof ipvlanModes;
      readonly flag: keyof typeof ipvlanFlags;
    };

/** errno(3); it has the name of another error, too. */
const EOPNOTSUPP = 95;
/** linux/if_link.h. */
const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
const ipvlanModes = { l2: 0, l3: 1, l3s: 2 } as const;
const ipvlanFlags = { bridge: 0, private: 1, vepa: 2 } as const;
const IFLA = { address: 1, ifname: 3, mtu: 4, link: 5, linkinfo: 18, netnsFd: 28 } as const;

/**
 * It is made in the namespace and never seen on the host, so it goes with the namespace. It has a name at first that nobody
 * else has: before Linux 6.14 the kernel refuses one that is taken on the host (EEXIST), as eth0 is.
 */
export async function plugVlan(runner: Runner, plan: VlanPlan): Promise<void> {
  const { namespace, inside, kind, parent } = plan;
  let name = `vl${randomBytes(6).toString("hex")}`;
  createVlan({ ...plan, inside: name });
  try {
    await ipInside(runner, namespace, { lines: [`link set ${name} name ${inside}`] });
    name = inside;
    await furnishInside(runner, plan);
  } catch (err) {
    await unplugInside(runner, { namespace, inside: name });
    throw wrap(err, `Make ${kind.type} ${inside} on ${parent}`);
  }
}

export async function unplugInside(
  runner: Runner,
  { namespace, inside }: Pick<InsidePlan, "namespace" | "inside">,
): Promise<void> {
  await ipInside(runner, namespace, { lines: [`link del ${inside}`] });
}

function createVlan(plan: VlanPlan): void {
  using host = new Netlink(protocols.route);
  const parent = linkIndex(host, plan.parent);
  const namespace = openNamespace(plan.namespace);
  const mac = plan.macAddress === undefined ? [] : [Buffer.from(plan.macAddress.replaceAll(":", ""), "hex")];
  const body = Buffer.concat([
    linkHeader({}),
    attribute(IFLA.link, u32(parent)),
    attribute(IFLA.ifname, plan.inside),
    attribute(IFLA.netnsFd, u32(namespace)),
    ...mac.map((bytes) => attribute(IFLA.address, bytes)),
    ...(plan.mtu === undefined ? [] : [attribute(IFLA.mtu, u32(plan.mtu))]),
    linkInfo(plan.kind),
  ]);
  try {
    host.request([{ type: RTM.newLink, flags: NLM.ack | NLM.create | NLM.excl, body }]);
  } catch (err) {
    if (!(err instanceof NetlinkError)) throw err;
    throw new EngineError("internal", `failed to create the ${plan.kind.type} port: ${reason(err, plan)}`, {
      cause: err,
    });
  } finally {
    closeSync(namespace);
  }
}

function reason(err: NetlinkError, { kind, parent }: VlanPlan): string {
  if (err.code === EOPNOTSUPP) return `this kernel has no ${kind.type}`;
  if (err.errno === "EBUSY" || err.errno === "EINVAL") {
    return `${err.errno}: ${parent} cannot be the parent of this, or of macvlan and ipvlan or two passthru interfaces at once`;
  }
  return err.errno;
}

function linkInfo(kind: VlanKind): Buffer {
  const [INFO_KIND, INFO_DATA] = [1, 2];
  return nest(IFLA.linkinfo, attribute(INFO_KIND, kind.type), nest(INFO_DATA, ...modeAttributes(kind)));
}

function modeAttributes(kind: VlanKind): Buffer[] {
  if (kind.type === "macvlan") return [attribute(1, u32(macvlanModes[kind.mode]))];
  return [attribute(1, u16(ipvlanModes[kind.mode])), attribute(2, u16(ipvlanFlags[kind.flag]))];
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}
