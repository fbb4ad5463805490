import { closeSync } from "node:fs";
import { wrap } from "../../errors/mod.ts";
import { routeLine, type VethRoute } from "./inside.ts";
import { ipInside, openNamespace, type Runner } from "./namespace.ts";
import { attribute, Netlink, NLM, nest, protocols, u32 } from "./netlink.ts";
import { linkHeader, RTM } from "./route.ts";

/** One end of a veth whose other end is in another namespace, with nothing of it on the host. */
export interface PairEnd {
  readonly namespace: string;
  readonly inside: string;
  readonly macAddress: string;
  /** IPv4, of this end alone. */
  readonly address?: string;
  readonly routes: readonly VethRoute[];
}

const IFLA = { address: 1, ifname: 3, linkinfo: 18, netnsFd: 28 } as const;

/** Goes with the first of its namespaces. */
export async function plugPair(runner: Runner, ends: readonly [PairEnd, PairEnd]): Promise<void> {
  createPair(ends);
  try {
    for (const end of ends) await ipInside(runner, end.namespace, { lines: lines(end) });
  } catch (err) {
    await ipInside(runner, ends[0].namespace, { lines: [`link del ${ends[0].inside}`] });
    throw wrap(err, `Connect ${ends[0].namespace} with ${ends[1].namespace}`);
  }
}

function createPair([first, second]: readonly [PairEnd, PairEnd]): void {
  const [INFO_KIND, INFO_DATA, VETH_INFO_PEER] = [1, 2, 1];
  using host = new Netlink(protocols.route);
  const namespaces: number[] = [];
  try {
    const [one, other] = [first, second].map((end) => {
      const namespace = openNamespace(end.namespace);
      namespaces.push(namespace);
      return header(end, namespace);
    }) as [Buffer, Buffer];
    const data = nest(INFO_DATA, attribute(VETH_INFO_PEER | 0x8000, other));
    const info = nest(IFLA.linkinfo, attribute(INFO_KIND, "veth"), data);
    const body = Buffer.concat([one, info]);
    host.request([{ type: RTM.newLink, flags: NLM.ack | NLM.create | NLM.excl, body }]);
  } catch (err) {
    throw wrap(err, `Connect ${first.namespace} with ${second.namespace}`);
  } finally {
    for (const namespace of namespaces) closeSync(namespace);
  }
}

function header({ inside, macAddress }: PairEnd, namespace: number): Buffer {
  return Buffer.concat([
    linkHeader({}),
    attribute(IFLA.ifname, inside),
    attribute(IFLA.address, Buffer.from(macAddress.replaceAll(":", ""), "hex")),
    attribute(IFLA.netnsFd, u32(namespace)),
  ]);
}

function lines({ inside, address, routes }: PairEnd): string[] {
  const own = address === undefined ? [] : [`addr add ${address}/32 dev ${inside}`];
  return [...own, `link set ${inside} up`, ...routes.map((route) => routeLine(route, inside))];
}
