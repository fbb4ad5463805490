import { csv, type EndpointConfig } from "../../wire/mod.ts";
import { invalid, splitOnce } from "./values.ts";

/** One `--network`: a name, or `name=NAME,ip=…,alias=…`. */
export interface NetworkChoice {
  readonly name: string;
  readonly endpoint: EndpointConfig;
}

type Endpoint = { -readonly [K in keyof EndpointConfig]: EndpointConfig[K] };

const setters: Readonly<Record<string, (endpoint: Endpoint, text: string) => void>> = {
  alias: (endpoint, text) => {
    endpoint.Aliases = [...(endpoint.Aliases ?? []), text];
  },
  ip: (endpoint, text) => {
    endpoint.IPAMConfig = { ...endpoint.IPAMConfig, IPv4Address: text };
  },
  ip6: (endpoint, text) => {
    endpoint.IPAMConfig = { ...endpoint.IPAMConfig, IPv6Address: text };
  },
  "link-local-ip": (endpoint, text) => {
    const LinkLocalIPs = [...(endpoint.IPAMConfig?.LinkLocalIPs ?? []), text];
    endpoint.IPAMConfig = { ...endpoint.IPAMConfig, LinkLocalIPs };
  },
  "mac-address": (endpoint, text) => {
    endpoint.MacAddress = text;
  },
  "gw-priority": (endpoint, text) => {
    if (!/^-?\d+$/.test(text)) throw invalid(`invalid gw-priority (${text}): must be a whole number`);
    endpoint.GwPriority = Number(text);
  },
  "driver-opt": (endpoint, text) => {
    const [key, setting] = splitOnce(text, "=");
    if (setting === undefined) throw invalid("invalid key value pair format in driver options");
    endpoint.DriverOpts = { ...endpoint.DriverOpts, [key]: setting };
  },
};

export function parseNetwork(given: string): NetworkChoice {
  if (!/(^|,)name=/.test(given)) return { name: given, endpoint: {} };
  const endpoint: Endpoint = {};
  let name = "";
  for (const field of csv(given)) {
    const [key, text] = splitOnce(field, "=");
    if (text === undefined) throw invalid(`invalid field ${key}`);
    if (key === "name") name = text;
    else if (!Object.hasOwn(setters, key)) throw invalid(`invalid field key ${key}`);
    else setters[key]?.(endpoint, text);
  }
  return { name, endpoint };
}

export interface FirstNetwork {
  readonly ip: string;
  readonly ip6: string;
  readonly linkLocal: readonly string[];
  readonly aliases: readonly string[];
  readonly mac: string;
  readonly links: readonly string[];
}

/** The networks asked for, with what stands in flags of its own, which is about the first of them. */
export function endpointsOf(
  chosen: readonly NetworkChoice[],
  flags: FirstNetwork,
): { readonly mode: string; readonly endpoints: Record<string, EndpointConfig> } {
  const [first = { name: "default", endpoint: {} }, ...others] = chosen;
  const endpoints: Record<string, EndpointConfig> = { [first.name]: { ...first.endpoint, ...ofFlags(first, flags) } };
  for (const { name, endpoint } of others) {
    if (Object.hasOwn(endpoints, name)) throw invalid(`network ${JSON.stringify(name)} is specified multiple times`);
    endpoints[name] = endpoint;
  }
  return { mode: first.name, endpoints };
}

function ofFlags({ name, endpoint }: NetworkChoice, flags: FirstNetwork): EndpointConfig {
  const aliases = [...(endpoint.Aliases ?? []), ...flags.aliases];
  const ipam = {
    ...endpoint.IPAMConfig,
    ...(flags.ip && { IPv4Address: flags.ip }),
    ...(flags.ip6 && { IPv6Address: flags.ip6 }),
    ...(flags.linkLocal.length > 0 && { LinkLocalIPs: flags.linkLocal }),
  };
  const links = isUserDefined(name) ? flags.links : [];
  return {
    ...(Object.keys(ipam).length > 0 && { IPAMConfig: ipam }),
    ...(aliases.length > 0 && { Aliases: aliases }),
    ...(flags.mac && { MacAddress: flags.mac }),
    ...(links.length > 0 && { Links: links }),
  };
}

/** Those that somebody made: links are theirs, while the default bridge has links of its own kind in HostConfig. */
export function isUserDefined(name: string): boolean {
  return !["default", "bridge", "host", "none"].includes(name) && !name.startsWith("container:");
}
