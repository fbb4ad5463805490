import { EngineError } from "../errors/mod.ts";
import type { EndpointConfig } from "../wire/mod.ts";
import { contains, formatSubnet, parseAddress } from "./address.ts";
import { contains6, formatAddress6, formatSubnet6, parseAddress6 } from "./address6.ts";
import { isPredefined } from "./inspect.ts";
import { type LegSettings, legsOf, type NetworkRow } from "./table.ts";

export type Joinable = NetworkRow & { readonly legs: LegSettings };

/** What is asked for an endpoint, read. */
export interface EndpointWish {
  readonly address?: number;
  readonly address6?: bigint;
  /** With their prefix lengths. */
  readonly linkLocal: readonly string[];
  readonly macAddress?: string;
  /** Of the interface inside. */
  readonly interface?: string;
  /** Paths below /proc/sys with {@link placeholder} in the interface's place. */
  readonly sysctls: readonly { readonly path: string; readonly value: string }[];
}

export const placeholder = "IFNAME";
const endpointOptions = {
  interface: "com.docker.network.endpoint.ifname",
  sysctls: "com.docker.network.endpoint.sysctls",
} as const;

/** A network that containers can be in. Throws "forbidden" in Docker's words. */
export function joinable(network: NetworkRow): Joinable {
  const legs = legsOf(network);
  if (legs) return { ...network, legs };
  const { name, configuration } = network;
  if (configuration) throw new EngineError("forbidden", "cannot create endpoint on configuration-only network");
  const words = `container cannot be disconnected from ${name} network or connected to ${name} network`;
  throw new EngineError("forbidden", words);
}

/** Throws "invalid" with all that is wrong, in Docker's words, and "not-implemented" for options that are not there. */
export function checkEndpoint(network: NetworkRow, config: EndpointConfig): EndpointWish {
  const joined = joinable(network);
  const wrong = [...onPredefined(joined, config), ...addressProblems(joined, config), ...sysctlProblems(config)];
  if (wrong.length > 0) {
    const list = wrong.length === 1 ? wrong : wrong.map((line) => `* ${line}`);
    throw new EngineError("invalid", `invalid endpoint settings:\n${list.join("\n")}`);
  }
  return wishOf(joined, config);
}

function wishOf(network: Joinable, config: EndpointConfig): EndpointWish {
  const { IPAMConfig: ipam, DriverOpts: options } = config;
  const address = parseAddress(ipam?.IPv4Address ?? "");
  const address6 = parseAddress6(ipam?.IPv6Address ?? "");
  const [macAddress, ifname] = [parseMac(network, config.MacAddress), interfaceName(options ?? {})];
  return {
    linkLocal: (ipam?.LinkLocalIPs ?? []).map(linkLocal),
    sysctls: sysctlTexts(config).map(parseSysctl),
    ...(address !== undefined && { address }),
    ...(address6 !== undefined && { address6 }),
    ...(macAddress !== undefined && { macAddress }),
    ...(ifname !== undefined && { interface: ifname }),
  };
}

function onPredefined({ name }: Joinable, { IPAMConfig: ipam, Aliases }: EndpointConfig): string[] {
  if (!isPredefined(name)) return [];
  const fixed = ipam?.IPv4Address || ipam?.IPv6Address || (ipam?.LinkLocalIPs ?? []).length > 0;
  return [
    ...(fixed ? ["user specified IP address is supported on user defined networks only"] : []),
    ...(Aliases?.length ? ["network-scoped aliases are only supported for user-defined networks"] : []),
  ];
}

function addressProblems(network: Joinable, { IPAMConfig: ipam }: EndpointConfig): string[] {
  const { IPv4Address: text4 = "", IPv6Address: text6 = "", LinkLocalIPs = [] } = ipam ?? {};
  const wrongLocal = (LinkLocalIPs ?? []).filter(
    (text) => parseAddress(text) === undefined && parseAddress6(text) === undefined,
  );
  return [
    ...(text4 === "" ? [] : problem4(network, text4)),
    ...(text6 === "" ? [] : problem6(network, text6)),
    ...wrongLocal.map((text) => `invalid link-local IP address: ${text}`),
  ];
}

function problem4({ name, legs }: Joinable, text: string): string[] {
  const address = parseAddress(text);
  if (address === undefined || address === 0) return [`invalid IPv4 address: ${text}`];
  if (isPredefined(name)) return [];
  if (legs.automatic) {
    return ["user specified IP address is supported only when connecting to networks with user configured subnets"];
  }
  if (contains(legs.subnet, address)) return [];
  return [`no configured subnet contains IP address ${text}: network ${name} has ${formatSubnet(legs.subnet)}`];
}

function problem6({ name, legs }: Joinable, text: string): string[] {
  const address = parseAddress6(text);
  if (address === undefined || address === 0n) return [`invalid IPv6 address: ${text}`];
  if (isPredefined(name)) return [];
  if (!legs.six) return [`no configured subnet contains IP address ${text}: network ${name} has no IPv6`];
  if (contains6(legs.six.subnet, address)) return [];
  return [`no configured subnet contains IP address ${text}: network ${name} has ${formatSubnet6(legs.six.subnet)}`];
}

/** As Docker does, with the prefix length of the link-local subnets. */
function linkLocal(text: string): string {
  const six = parseAddress6(text);
  return six === undefined ? `${text}/16` : `${formatAddress6(six)}/64`;
}

/** In canonical form. Throws "invalid" also for multicast addresses. */
export function parseMac(network: Pick<NetworkRow, "driver" | "name">, text: string | undefined): string | undefined {
  if (!text) return undefined;
  if (network.driver === "ipvlan") {
    const words = `ipvlan interfaces do not support custom mac address assignment (network ${network.name}, ${text})`;
    throw new EngineError("invalid", words);
  }
  const plain = text.toLowerCase().replaceAll("-", ":");
  const [first = ""] = plain.split(":");
  if (!/^([\da-f]{2}:){5}[\da-f]{2}$/.test(plain)) throw new EngineError("invalid", `invalid MAC address: ${text}`);
  if (Number.parseInt(first, 16) & 1)
    throw new EngineError("invalid", `invalid MAC address: ${text} is a multicast address`);
  return plain;
}

function interfaceName(options: Readonly<Record<string, string>>): string | undefined {
  const unknown = Object.keys(options).find((key) => !Object.values<string>(endpointOptions).includes(key));
  if (unknown !== undefined) {
    throw new EngineError("not-implemented", `driver option ${unknown} of an endpoint is not implemented`);
  }
  const name = options[endpointOptions.interface];
  if (name === undefined || (/^[a-zA-Z][\w.-]{0,14}$/.test(name) && name !== "lo")) return name;
  throw new EngineError(
    "invalid",
    `${endpointOptions.interface}: ${JSON.stringify(name)} is not the name of an interface`,
  );
}

function sysctlTexts({ DriverOpts }: EndpointConfig): string[] {
  return DriverOpts?.[endpointOptions.sysctls]?.split(",") ?? [];
}

/** docker's command line makes IFNAME lower case. What is written must not lead elsewhere than it says. */
const sysctlPattern = /^net\.(ipv4|ipv6|mpls)\.(\w+)\.(?:IFNAME|ifname)\.([\w.-]+)=([\w .:-]*)$/;

function sysctlProblems(config: EndpointConfig): string[] {
  const wrong = sysctlTexts(config).filter((text) => !sysctlPattern.test(text) || text.includes(".."));
  const form = "represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'";
  return wrong.map((text) => `unrecognised network interface sysctl '${text}'; ${form}`);
}

function parseSysctl(text: string): { path: string; value: string } {
  const [, family = "", kind = "", key = "", value = ""] = sysctlPattern.exec(text) ?? [];
  return { path: `net/${family}/${kind}/${placeholder}/${key.replaceAll(".", "/")}`, value };
}
