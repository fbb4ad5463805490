import { isKind } from "../../errors/mod.ts";
import type { PortMap } from "../../wire/mod.ts";
import type { Context } from "../context.ts";
import { type PortWish, portWishes } from "../ports.ts";
import { allEndpoints, type BridgeSettings, networkById, networkByName, networks, portsOf } from "../table.ts";
import { type Fate, fateOf } from "./verdict.ts";
import { type Path, type Published, warningsOf } from "./warnings.ts";
import { type FirewallWatch, outerLink } from "./watch.ts";

/** What the host's firewall does to those from outside. */
export interface FirewallReport {
  /** Why it was not looked at in full. */
  readonly problem?: string;
  /** To a connection to some port of the host's own, and to one that is passed on to a container of the default network. */
  readonly received: Fate;
  readonly passed: Fate;
  /** To a connection from such a container to the outside. */
  readonly sent: Fate;
  /** About ports that are published now, a line each. */
  readonly warnings: readonly string[];
}

/** Where there is no way out nothing stands in it. */
const nobody: Fate = { accept: true, drop: false };

/** What is to be said about ports that a container of this network is to publish. */
export async function portWarnings(
  context: Context,
  watch: FirewallWatch,
  asked: { readonly network: string; readonly ports: PortMap },
): Promise<string[]> {
  if (Object.keys(asked.ports).length === 0) return [];
  const row = context.db.read((q) => networkById(q, asked.network) ?? networkByName(q, asked.network));
  if (!row?.bridge || row.internal) return [];
  const { bridge } = row;
  return warningsOf(await watch.soon(), pathTo(bridge), wished(asked.ports, bridge));
}

export async function firewallReport(context: Context, watch: FirewallWatch): Promise<FirewallReport> {
  const { firewall, problem } = await watch.now();
  const bridges = context.db.read((q) => new Map(networks(q).map((row) => [row.id, row.bridge])));
  const warnings = context.db.read(allEndpoints).flatMap((endpoint) => {
    const bridge = bridges.get(endpoint.networkId);
    return bridge
      ? warningsOf(
          firewall,
          pathTo(bridge),
          context.db.read((q) => portsOf(q, endpoint.id)),
        )
      : [];
  });
  const { bridge, link } = pathTo({ link: context.config.bridge });
  const packet = { family: "ip", protocol: "tcp" } as const;
  const inward = { ...packet, ...(link !== undefined && { from: link }) };
  return {
    ...(problem !== undefined && { problem }),
    received: fateOf(firewall, "input", inward),
    passed: fateOf(firewall, "forward", { ...inward, to: bridge }),
    sent:
      link === undefined ? nobody : fateOf(firewall, "forward", { ...packet, from: bridge, to: link, outward: true }),
    warnings: [...new Set(warnings)],
  };
}

function pathTo({ link: bridge }: Pick<BridgeSettings, "link">): Path {
  const link = outerLink();
  return { bridge, ...(link !== undefined && { link }) };
}

/** A port that cannot be published is refused by who publishes it, and nothing is to be said about it here. */
function wished(ports: PortMap, bridge: BridgeSettings): Published[] {
  try {
    return portWishes(ports, bridge).flatMap(publishedAs);
  } catch (err) {
    if (isKind(err, "invalid") || isKind(err, "not-implemented")) return [];
    throw err;
  }
}

function publishedAs({ protocol, containerPort, hostAddress, also, first, last }: PortWish): Published[] {
  const chosen = first === last && first !== 0 ? { hostPort: first } : {};
  const addresses = [hostAddress, ...(also === undefined ? [] : [also])];
  return addresses.map((address) => ({ protocol, containerPort, hostAddress: address, ...chosen }));
}
