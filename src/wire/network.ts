import type { EndpointConfig } from "./container.ts";

/** Docker's JSON shapes for networks and volumes. */
export interface IpamPool {
  readonly Subnet?: string;
  readonly IPRange?: string;
  readonly Gateway?: string;
  readonly AuxiliaryAddresses?: Readonly<Record<string, string>>;
}

export interface Ipam {
  readonly Driver: string;
  readonly Options: Readonly<Record<string, string>> | null;
  readonly Config: readonly IpamPool[];
}

export interface NetworkCreateBody {
  readonly Name: string;
  readonly Driver: string;
  readonly Scope?: string;
  readonly Internal: boolean;
  readonly Attachable: boolean;
  readonly Ingress: boolean;
  readonly ConfigOnly: boolean;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6?: boolean;
  readonly IPAM?: Partial<Ipam>;
  /** Name of the configuration network that says the rest. */
  readonly ConfigFrom?: string;
  readonly Options: Readonly<Record<string, string>>;
  readonly Labels: Readonly<Record<string, string>>;
}

export interface NetworkInspect {
  readonly Name: string;
  readonly Id: string;
  readonly Created: string;
  readonly Scope: string;
  readonly Driver: string;
  readonly EnableIPv4: boolean;
  readonly EnableIPv6: boolean;
  readonly IPAM: Ipam;
  readonly Internal: boolean;
  readonly Attachable: boolean;
  readonly Ingress: boolean;
  readonly ConfigFrom: { readonly Network: string };
  readonly ConfigOnly: boolean;
  readonly Containers: Readonly<Record<string, NetworkContainer>>;
  readonly Options: Readonly<Record<string, string>>;
  readonly Labels: Readonly<Record<string, string>>;
}

export interface NetworkContainer {
  readonly Name: string;
  readonly EndpointID: string;
  readonly MacAddress: string;
  readonly IPv4Address: string;
  readonly IPv6Address: string;
}

export interface VolumeInspect {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly CreatedAt: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Scope: string;
  readonly Options: Readonly<Record<string, string>> | null;
  /** What the driver has to tell; here of a volume with a size. */
  readonly Status?: Readonly<Record<string, unknown>>;
  readonly UsageData?: { readonly Size: number; readonly RefCount: number };
}

export interface VolumeCreateBody {
  readonly Name: string;
  readonly Driver: string;
  readonly DriverOpts: Readonly<Record<string, string>>;
  readonly Labels: Readonly<Record<string, string>>;
}

/** Berth's own. */
export interface VolumeUpdateBody {
  /** A new limit, such as `2g`, for a volume that has one. */
  readonly Size?: string;
  /** Labels to set, and those to take away as null. */
  readonly Labels: Readonly<Record<string, string | null>>;
}

export interface NetworkConnectBody {
  readonly Container: string;
  readonly EndpointConfig: EndpointConfig;
}

export interface NetworkDisconnectBody {
  readonly Container: string;
  readonly Force: boolean;
}
