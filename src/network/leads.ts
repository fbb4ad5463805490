import type { VlanKind } from "../host/mod.ts";
import { formatAddress } from "./address.ts";
import { type BridgeSettings, type EndpointRow, legsOf, type NetworkRow } from "./table.ts";

type Kind = 4 | 6;

/** How a container gets out by a network: by a gateway, or straight from its interface. */
export type Way = { readonly gateway: string } | "interface";

/** The way out that a network has for one kind of addresses; undefined when it leads nowhere. */
export function wayOut(network: NetworkRow, kind: Kind): Way | undefined {
  const legs = legsOf(network);
  if (!legs || network.internal || (kind === 6 && !legs.six)) return undefined;
  if (network.vlan?.alone || (network.bridge && isolates(network.bridge, kind))) return undefined;
  if (network.vlan && routesItself(network.vlan.kind)) return "interface";
  if (kind === 6) return legs.six?.gateway === undefined ? undefined : { gateway: legs.six.gateway };
  return legs.gateway === undefined ? undefined : { gateway: formatAddress(legs.gateway) };
}

/** ipvlan in a layer 3 mode: there is no gateway, since the host's own routes take over. */
export function routesItself(kind: VlanKind): boolean {
  return kind.type === "ipvlan" && kind.mode !== "l2";
}

/** The host has no address in it. */
export function isolates({ mode4, mode6 }: Pick<BridgeSettings, "mode4" | "mode6">, kind: Kind): boolean {
  return (kind === 4 ? mode4 : mode6) === "isolated";
}

export interface Leg {
  readonly row: EndpointRow;
  readonly network: NetworkRow;
}

/** Whose way out a container takes: that of the highest priority, and of equals the one that was there first. */
export function leader(legs: readonly Leg[], kind: Kind): Leg | undefined {
  const leading = legs.filter(({ network }) => wayOut(network, kind));
  return leading.toSorted((a, b) => priority(b) - priority(a))[0];
}

function priority({ row }: Leg): number {
  return row.config.GwPriority ?? 0;
}
