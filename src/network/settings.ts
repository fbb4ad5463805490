import type { VlanKind } from "../host/mod.ts";
import type { Ipam } from "../wire/mod.ts";
import type { Subnet } from "./address.ts";
import type { Subnet6 } from "./address6.ts";

export interface NetworkRow {
  readonly id: string;
  readonly name: string;
  readonly driver: "bridge" | "macvlan" | "ipvlan" | "host" | "null";
  /** RFC 3339. */
  readonly created: string;
  /** Of "bridge". Absent for "host", "null" and a configuration for other networks, which are nothing in the kernel. */
  readonly bridge?: BridgeSettings;
  /** Of "macvlan" and "ipvlan". */
  readonly vlan?: VlanSettings;
  readonly ipam: Ipam;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** What a configuration keeps for the networks that are made from it. */
  readonly configuration?: Configuration;
  /** Name of the configuration that this network was made from. */
  readonly configFrom?: string;
}

export interface Configuration {
  readonly six: boolean;
}

/** What all drivers' networks have: addresses, and how interfaces in containers look. */
export interface LegSettings {
  readonly subnet: Subnet;
  /** Where addresses come from: the subnet or a part of it. */
  readonly range: Subnet;
  /** Never given to an endpoint. None where nothing leads out of the network. */
  readonly gateway?: number;
  /** Auxiliary addresses, never given to an endpoint. */
  readonly reserved: readonly number[];
  /** Chosen by us, so that it may be chosen anew; the user named no subnet. */
  readonly automatic: boolean;
  /** IPv6 beside it. */
  readonly six?: SixSettings;
  readonly mtu?: number;
  /** Interfaces in containers are called so, and a number; "eth" by default. */
  readonly prefix?: string;
}

export interface BridgeSettings extends LegSettings {
  /** The bridge's name in the kernel. */
  readonly link: string;
  /** It was there before the network, and stays when that goes. */
  readonly adopted?: boolean;
  readonly masquerade: boolean;
  /** May containers talk to each other. */
  readonly icc: boolean;
  /** Host address of a published port that names none. */
  readonly hostAddress: string;
  /** The bridge has no IPv4 address; a router elsewhere may have the gateway's. */
  readonly inhibit?: boolean;
  /** Links of the host whose neighbours reach containers without a published port. */
  readonly trusted?: readonly string[];
  /** "nat" by default. */
  readonly mode4?: GatewayMode;
  readonly mode6?: GatewayMode;
}

/**
 * "nat-unprotected": all ports are reached by who routes to the containers. "isolated": the host is not in the network, which
 * must be an internal one.
 */
export type GatewayMode = "nat" | "nat-unprotected" | "isolated";

export interface VlanSettings extends LegSettings {
  /** The host's link that containers' interfaces are made of. */
  readonly parent: string;
  /** We made it, and it goes with the last network that uses it. */
  readonly made: boolean;
  /** The parent is of this network alone, and leads nowhere. */
  readonly alone: boolean;
  readonly kind: VlanKind;
}

export interface SixSettings {
  readonly subnet: Subnet6;
  /** Where addresses come from: the subnet or a part of it. */
  readonly range: Subnet6;
  readonly gateway?: string;
  /** Auxiliary addresses, never given to an endpoint. */
  readonly reserved: readonly string[];
}

export function legsOf({ bridge, vlan }: NetworkRow): LegSettings | undefined {
  return bridge ?? vlan;
}
