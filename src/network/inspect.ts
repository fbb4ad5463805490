import type { Query } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { re2 } from "../patterns/mod.ts";
import {
  type Filters,
  filterFlag,
  hasLabel,
  type NetworkContainer,
  type NetworkInspect,
  requireFilters,
} from "../wire/mod.ts";
import { formatAddress } from "./address.ts";
import type { Endpoint } from "./network.ts";
import { toPortMap } from "./ports.ts";
import {
  type EndpointRow,
  endpointsIn,
  type NetworkRow,
  networkById,
  networkByName,
  networks,
  networksByPrefix,
  portsOf,
  type SixSettings,
} from "./table.ts";

/** By id, name, or unambiguous id prefix. Throws "not-found". */
export function findNetwork(q: Query, idOrName: string): NetworkRow {
  const exact = networkById(q, idOrName) ?? networkByName(q, idOrName);
  if (exact) return exact;
  const [found, more] = idOrName === "" ? [] : networksByPrefix(q, idOrName);
  if (more) throw new EngineError("invalid", `network ${idOrName} is ambiguous (2 matches found based on ID prefix)`);
  if (!found) throw new EngineError("not-found", `network ${idOrName} not found`);
  return found;
}

export function inspectNetwork(q: Query, row: NetworkRow): NetworkInspect {
  const containers = endpointsIn(q, row.id).map((endpoint) => [endpoint.holder, container(row, endpoint)] as const);
  return {
    Name: row.name,
    Id: row.id,
    Created: row.created,
    Scope: "local",
    Driver: row.driver,
    EnableIPv4: true,
    EnableIPv6: row.bridge?.six !== undefined,
    IPAM: row.ipam,
    Internal: row.internal,
    Attachable: row.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: Object.fromEntries(containers),
    Options: row.options,
    Labels: row.labels,
  };
}

export function listNetworks(q: Query, filter: Filters): NetworkInspect[] {
  requireFilters(filter, ["name", "id", "driver", "type", "label", "scope", "dangling"]);
  const dangling = filterFlag(filter, "dangling");
  const all = networks(q).map((row) => inspectNetwork(q, row));
  const wanted = all.filter((network) => dangling === undefined || isDangling(network) === dangling);
  return wanted.filter((network) =>
    [...filter].every(([key, values]) => values.length === 0 || matches(network, key, values)),
  );
}

export function toEndpoint(q: Query, row: EndpointRow): Endpoint {
  const network = findNetwork(q, row.networkId);
  return {
    id: row.id,
    holder: row.holder,
    networkId: network.id,
    networkName: network.name,
    address: formatAddress(row.address),
    prefixLength: network.bridge?.subnet.prefixLength ?? 0,
    gateway: network.bridge && !network.internal ? formatAddress(network.bridge.gateway) : "",
    ...(row.address6 !== undefined &&
      network.bridge?.six &&
      sixOf(row.address6, { six: network.bridge.six, internal: network.internal })),
    macAddress: row.mac,
    aliases: row.config.Aliases ?? [],
    config: row.config,
    ports: toPortMap(portsOf(q, row.id)),
  };
}

function sixOf(address6: string, { six, internal }: { six: SixSettings; internal: boolean }) {
  return { address6, prefixLength6: six.subnet.prefixLength, ...(!internal && { gateway6: six.gateway }) };
}

export function isPredefined(name: string): boolean {
  return ["bridge", "host", "none"].includes(name);
}

function container(network: NetworkRow, endpoint: EndpointRow): NetworkContainer {
  return {
    Name: endpoint.name,
    EndpointID: endpoint.id,
    MacAddress: endpoint.mac,
    IPv4Address: `${formatAddress(endpoint.address)}/${network.bridge?.subnet.prefixLength ?? 0}`,
    IPv6Address:
      endpoint.address6 === undefined ? "" : `${endpoint.address6}/${network.bridge?.six?.subnet.prefixLength ?? 0}`,
  };
}

/** Values of "label" must all match, those of the other filters are alternatives, as Docker has it. */
function matches(network: NetworkInspect, key: string, values: readonly string[]): boolean {
  if (key === "label") return values.every((value) => hasLabel(network.Labels, value));
  return values.some((value) => matchesOne(network, key, value));
}

function matchesOne(network: NetworkInspect, key: string, value: string): boolean {
  if (key === "name") return network.Name === value || re2([value])(network.Name);
  if (key === "id") return network.Id.startsWith(value);
  if (key === "driver") return network.Driver === value;
  if (key === "scope") return network.Scope === value;
  return key === "type" ? isType(network, value) : true;
}

function isDangling(network: NetworkInspect): boolean {
  return !isPredefined(network.Name) && Object.keys(network.Containers).length === 0;
}

function isType(network: NetworkInspect, value: string): boolean {
  if (value !== "custom" && value !== "builtin") throw new EngineError("invalid", `invalid filter: 'type'='${value}'`);
  return isPredefined(network.Name) === (value === "builtin");
}
