import type { Query } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { NetworkContainer, NetworkInspect } from "../wire/mod.ts";
import { formatAddress } from "./address.ts";
import { wayOut } from "./leads.ts";
import type { Endpoint } from "./network.ts";
import { toPortMap } from "./ports.ts";
import {
  type EndpointRow,
  legsOf,
  type NetworkRow,
  networkById,
  networkByName,
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

export function inspectNetwork(row: NetworkRow, endpoints: readonly EndpointRow[]): NetworkInspect {
  const containers = endpoints.map((endpoint) => [endpoint.holder, container(row, endpoint)] as const);
  return {
    Name: row.name,
    Id: row.id,
    Created: row.created,
    Scope: "local",
    Driver: row.driver,
    EnableIPv4: true,
    EnableIPv6: row.configuration?.six ?? legsOf(row)?.six !== undefined,
    IPAM: row.ipam,
    Internal: row.internal,
    Attachable: row.attachable,
    Ingress: false,
    ConfigFrom: { Network: row.configFrom ?? "" },
    ConfigOnly: row.configuration !== undefined,
    Containers: Object.fromEntries(containers),
    Options: row.options,
    Labels: row.labels,
  };
}

export function toEndpoint(q: Query, row: EndpointRow): Endpoint {
  const network = findNetwork(q, row.networkId);
  const legs = legsOf(network);
  return {
    id: row.id,
    holder: row.holder,
    networkId: network.id,
    networkName: network.name,
    address: formatAddress(row.address),
    prefixLength: legs?.subnet.prefixLength ?? 0,
    gateway: gatewayOf(network, 4),
    ...(row.address6 !== undefined && legs?.six && sixOf(network, row.address6, legs.six)),
    macAddress: row.mac,
    aliases: row.config.Aliases ?? [],
    config: row.config,
    ports: toPortMap(portsOf(q, row.id)),
  };
}

export function isPredefined(name: string): boolean {
  return ["bridge", "host", "none"].includes(name);
}

function sixOf(network: NetworkRow, address6: string, six: SixSettings) {
  const gateway6 = gatewayOf(network, 6);
  return { address6, prefixLength6: six.subnet.prefixLength, ...(gateway6 !== "" && { gateway6 }) };
}

/** "" where there is none. */
function gatewayOf(network: NetworkRow, kind: 4 | 6): string {
  const way = wayOut(network, kind);
  return way === undefined || way === "interface" ? "" : way.gateway;
}

function container(network: NetworkRow, endpoint: EndpointRow): NetworkContainer {
  const legs = legsOf(network);
  return {
    Name: endpoint.name,
    EndpointID: endpoint.id,
    MacAddress: endpoint.mac,
    IPv4Address: `${formatAddress(endpoint.address)}/${legs?.subnet.prefixLength ?? 0}`,
    IPv6Address: endpoint.address6 === undefined ? "" : `${endpoint.address6}/${legs?.six?.subnet.prefixLength ?? 0}`,
  };
}
