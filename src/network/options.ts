import { EngineError } from "../errors/mod.ts";
import type { Ipam, IpamPool, NetworkCreateBody } from "../wire/mod.ts";
import {
  contains,
  formatAddress,
  formatSubnet,
  lastAddress,
  parseAddress,
  parseSubnet,
  type Subnet,
} from "./address.ts";
import {
  contains6,
  first6,
  formatAddress6,
  formatSubnet6,
  last6,
  parseAddress6,
  parseSubnet6,
  type Subnet6,
} from "./address6.ts";
import type { BridgeSettings, SixSettings } from "./table.ts";

const prefix = "com.docker.network.bridge.";
export const optionNames = {
  name: `${prefix}name`,
  masquerade: `${prefix}enable_ip_masquerade`,
  icc: `${prefix}enable_icc`,
  hostAddress: `${prefix}host_binding_ipv4`,
  default: `${prefix}default_bridge`,
  mtu: "com.docker.network.driver.mtu",
} as const;

/** What a create request decides about the bridge; the rest is given or chosen. */
export type BridgeChoices = Pick<BridgeSettings, "masquerade" | "icc" | "hostAddress" | "mtu"> & {
  readonly link?: string;
  readonly pool?: Pick<BridgeSettings, "subnet" | "range" | "gateway" | "reserved">;
  readonly six?: SixSettings;
};

/** Refuses by name what a bridge network cannot have; throws "invalid" or "not-implemented". */
export function bridgeChoices(body: NetworkCreateBody): BridgeChoices {
  refuseUnknown(body);
  return { ...optionChoices(body.Options), ...ipamPools(body) };
}

/** As the answer to inspect has it. */
export function ipamOf(
  body: Partial<Ipam> | undefined,
  pool: Pick<BridgeSettings, "subnet" | "gateway" | "six">,
): Ipam {
  const given = (six: boolean) => body?.Config?.find(({ Subnet = "" }) => Subnet.includes(":") === six) ?? {};
  const four = { ...given(false), Subnet: formatSubnet(pool.subnet), Gateway: formatAddress(pool.gateway) };
  const six = pool.six && { ...given(true), Subnet: formatSubnet6(pool.six.subnet), Gateway: pool.six.gateway };
  const Config = [four, ...(six ? [six] : [])];
  return { Driver: body?.Driver || "default", Options: body?.Options ?? {}, Config };
}

function refuseUnknown(body: NetworkCreateBody): void {
  if (!/^[a-zA-Z0-9][^\p{Cc}/]*$/u.test(body.Name))
    throw new EngineError("invalid", `invalid network name: "${body.Name}"`);
  const driver = body.Driver || "bridge";
  if (driver !== "bridge") throw new EngineError("not-implemented", `network driver "${driver}" is not implemented`);
  const refused = {
    "a network without IPv4": body.EnableIPv4 === false,
    "a config-only network": body.ConfigOnly,
    "an ingress network": body.Ingress,
    [`scope "${body.Scope}"`]: body.Scope !== undefined && body.Scope !== "" && body.Scope !== "local",
  };
  for (const [what, wanted] of Object.entries(refused)) {
    if (wanted) throw new EngineError("not-implemented", `${what} is not implemented`);
  }
}

function optionChoices(options: Readonly<Record<string, string>>): BridgeChoices {
  for (const key of Object.keys(options)) {
    if (!Object.values<string>(optionNames).includes(key) || key === optionNames.default) {
      throw new EngineError("not-implemented", `network option ${key} is not implemented`);
    }
  }
  const link = options[optionNames.name];
  const mtu = options[optionNames.mtu];
  if (link !== undefined && !/^[a-zA-Z0-9][\w.-]{0,14}$/.test(link)) {
    throw new EngineError("invalid", `invalid bridge name: "${link}"`);
  }
  return {
    masquerade: boolean(options, optionNames.masquerade),
    icc: boolean(options, optionNames.icc),
    hostAddress: hostAddress(options[optionNames.hostAddress]),
    ...(link === undefined ? {} : { link }),
    ...(mtu === undefined ? {} : { mtu: mtuOf(mtu) }),
  };
}

function boolean(options: Readonly<Record<string, string>>, key: string): boolean {
  const text = options[key]?.toLowerCase() ?? "true";
  if (["true", "1", "t"].includes(text)) return true;
  if (["false", "0", "f"].includes(text)) return false;
  throw new EngineError("invalid", `invalid value for ${key}: "${options[key]}"`);
}

function hostAddress(text = "0.0.0.0"): string {
  if (parseAddress(text) === undefined)
    throw new EngineError("invalid", `invalid value for ${optionNames.hostAddress}: "${text}"`);
  return text;
}

/** 68 is the least that IPv4 allows (RFC 791), 65535 the most of a veth. */
function mtuOf(text: string): number {
  const mtu = Number(text);
  if (!/^\d+$/.test(text) || mtu < 68 || mtu > 65535) {
    throw new EngineError("invalid", `invalid value for ${optionNames.mtu}: "${text}"`);
  }
  return mtu;
}

/** At most one subnet of each kind. */
function ipamPools(body: NetworkCreateBody): Pick<BridgeChoices, "pool" | "six"> {
  const ipam = body.IPAM;
  if (ipam?.Driver && ipam.Driver !== "default") {
    throw new EngineError("not-implemented", `IPAM driver "${ipam.Driver}" is not implemented`);
  }
  const [key] = Object.keys(ipam?.Options ?? {});
  if (key !== undefined) throw new EngineError("not-implemented", `IPAM option ${key} is not implemented`);
  const isSix = ({ Subnet = "" }: IpamPool) => Subnet.includes(":");
  const [config, more] = (ipam?.Config ?? []).filter((one) => !isSix(one));
  const [config6, more6] = (ipam?.Config ?? []).filter(isSix);
  if (more || more6) throw new EngineError("not-implemented", "more than one subnet in a network is not implemented");
  if (config6 && !body.EnableIPv6) {
    throw new EngineError("invalid", `IPv6 subnet ${config6.Subnet} given, but IPv6 is not enabled in the network`);
  }
  const pool = config && ipamPool(config);
  return { ...(pool && { pool }), ...(config6?.Subnet && { six: parsePool6(config6, config6.Subnet) }) };
}

function ipamPool(config: IpamPool): BridgeChoices["pool"] {
  if (config.Subnet) return parsePool(config, config.Subnet);
  if (Object.values(config).some((value) => value !== undefined && value !== "")) {
    throw new EngineError("invalid", "invalid subnet: a gateway, range or auxiliary address needs a subnet");
  }
  return undefined;
}

function parsePool(config: IpamPool, text: string): BridgeChoices["pool"] {
  const subnet = parseSubnet(text);
  if (!subnet || subnet.prefixLength > 30) throw new EngineError("invalid", `invalid subnet ${text}`);
  const range = config.IPRange ? parseSubnet(config.IPRange) : subnet;
  if (!range || !within(subnet, range)) {
    throw new EngineError("invalid", `invalid ip-range ${config.IPRange}: not in subnet ${text}`);
  }
  const gateway = config.Gateway
    ? host(subnet, config.Gateway, "gateway")
    : range.base + (range.base === subnet.base ? 1 : 0);
  const auxiliary = Object.values(config.AuxiliaryAddresses ?? {});
  return { subnet, range, gateway, reserved: auxiliary.map((address) => host(subnet, address, "auxiliary address")) };
}

/** The first address of a subnet is the routers' anycast address (RFC 4291, 2.6.1), so the gateway is the second. */
function parsePool6(config: IpamPool, text: string): SixSettings {
  const subnet = parseSubnet6(text);
  if (!subnet || subnet.prefixLength > 126) throw new EngineError("invalid", `invalid subnet ${text}`);
  const range = config.IPRange ? parseSubnet6(config.IPRange) : subnet;
  if (!range || !contains6(subnet, first6(range)) || !contains6(subnet, last6(range))) {
    throw new EngineError("invalid", `invalid ip-range ${config.IPRange}: not in subnet ${text}`);
  }
  const gateway = config.Gateway ? host6(subnet, config.Gateway, "gateway") : formatAddress6(first6(subnet) + 1n);
  const auxiliary = Object.values(config.AuxiliaryAddresses ?? {});
  const reserved = auxiliary.map((address) => host6(subnet, address, "auxiliary address"));
  return { subnet, range, gateway, reserved };
}

/** In canonical form. */
export function host6(subnet: Subnet6, text: string, what: string): string {
  const address = parseAddress6(text);
  if (address !== undefined && contains6(subnet, address) && address !== first6(subnet)) return formatAddress6(address);
  throw new EngineError("invalid", `invalid ${what} ${text}: not a host of subnet ${formatSubnet6(subnet)}`);
}

function host(subnet: Subnet, text: string, what: string): number {
  const address = parseAddress(text);
  if (
    address === undefined ||
    !contains(subnet, address) ||
    address === subnet.base ||
    address === lastAddress(subnet)
  ) {
    throw new EngineError("invalid", `invalid ${what} ${text}: not a host of subnet ${formatSubnet(subnet)}`);
  }
  return address;
}

function within(outer: Subnet, inner: Subnet): boolean {
  return contains(outer, inner.base) && contains(outer, lastAddress(inner));
}
