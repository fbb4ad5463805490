import type { Subnet } from "../address.ts";
import type { Subnet6 } from "../address6.ts";
import type { PublishedPort } from "../ports.ts";

/** All that the nft tables say. */
export interface NftState {
  readonly table: string;
  readonly networks: readonly NftNetwork[];
  readonly ports: readonly NftPort[];
}

export interface NftNetwork {
  readonly bridge: string;
  readonly subnet: Subnet;
  readonly internal: boolean;
  readonly masquerade: boolean;
  readonly subnet6?: Subnet6;
  /** Kinds of addresses whose ports are all reached from outside. */
  readonly open?: readonly FamilyName[];
  /** Links of the host whose neighbours reach all ports. */
  readonly trusted?: readonly string[];
}

export interface NftPort extends PublishedPort {
  /** The container's address, of the kind that it is published on. */
  readonly address: string;
}

export type FamilyName = "ip" | "ip6";

/** IPv6 has a table while a network has it. */
export function familiesOf(network: Pick<NftNetwork, "subnet6">): readonly FamilyName[] {
  return network.subnet6 ? ["ip", "ip6"] : ["ip"];
}

/** Of the host's side of a port. */
export function familyOf({ hostAddress }: Pick<PublishedPort, "hostAddress">): FamilyName {
  return hostAddress.includes(":") ? "ip6" : "ip";
}

/** A published port that means all of the host's addresses of its kind. */
export function isAnywhere({ hostAddress }: Pick<PublishedPort, "hostAddress">): boolean {
  return hostAddress === "0.0.0.0" || hostAddress === "::";
}
