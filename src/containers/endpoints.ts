import type { Endpoint } from "../network/mod.ts";
import type { EndpointSettings, NetworkSettings, PortMap, PortSummary } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { networkModeOf, wantedNetworks } from "./modes.ts";
import type { Row } from "./table.ts";
import { isLive } from "./transition.ts";

/** `NetworkSettings` of `inspect`: what the endpoints say while it runs, what is wanted while it does not. */
export function networkSettings(ctx: Context, row: Row): NetworkSettings {
  const live = liveEndpoints(ctx, row);
  const first = live[0];
  const onBridge = live.find((endpoint) => endpoint.networkName === "bridge");
  return {
    Bridge: "",
    SandboxID: first ? row.id : "",
    SandboxKey: "",
    Ports: portsOf(row, live),
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: onBridge?.id ?? "",
    Gateway: onBridge?.gateway ?? "",
    GlobalIPv6Address: onBridge?.address6 ?? "",
    GlobalIPv6PrefixLen: onBridge?.prefixLength6 ?? 0,
    IPAddress: onBridge?.address ?? "",
    IPPrefixLen: onBridge?.prefixLength ?? 0,
    IPv6Gateway: onBridge?.gateway6 ?? "",
    MacAddress: onBridge?.macAddress ?? "",
    Networks: networksWith(ctx, { row, live }),
  };
}

/** What the list shows: the PORTS column, and the networks by name. */
export function networkSummary(
  ctx: Context,
  row: Row,
): { readonly ports: PortSummary[]; readonly networks: Readonly<Record<string, EndpointSettings>> } {
  const live = liveEndpoints(ctx, row);
  return { ports: summariesOf(portsOf(row, live)), networks: networksWith(ctx, { row, live }) };
}

/** By network name. */
export function networksOf(ctx: Context, row: Row): Readonly<Record<string, EndpointSettings>> {
  return networksWith(ctx, { row, live: liveEndpoints(ctx, row) });
}

function networksWith(ctx: Context, { row, live }: { readonly row: Row; readonly live: readonly Endpoint[] }) {
  const found: Record<string, EndpointSettings> = {};
  const mode = networkModeOf(row.hostConfig.NetworkMode);
  if (mode.kind === "host" || mode.kind === "none") found[mode.kind] = settings({ networkId: idOf(ctx, mode.kind) });
  for (const [name, config] of wantedNetworks(row)) {
    if (live.some(({ networkName }) => networkName === name)) continue;
    found[name] = settings({ networkId: idOf(ctx, name), config, macAddress: config.MacAddress ?? "" });
  }
  for (const endpoint of live) found[endpoint.networkName] = settings(endpoint, namesOf(row, endpoint));
  return found;
}

/** What `ps --filter publish=` and `expose=` are about. */
export function portSummaries(ctx: Context, row: Row): PortSummary[] {
  return summariesOf(portsOf(row, liveEndpoints(ctx, row)));
}

function summariesOf(ports: PortMap): PortSummary[] {
  return Object.entries(ports).flatMap(([port, bindings]) => {
    const [number = "", Type = "tcp"] = port.split("/");
    const PrivatePort = Number(number);
    if (!bindings || bindings.length === 0) return [{ PrivatePort, Type }];
    return bindings.map(({ HostIp, HostPort }) => ({ IP: HostIp, PrivatePort, PublicPort: Number(HostPort), Type }));
  });
}

/** What is published now; nothing while it does not run. */
export function publishedPorts(ctx: Context, row: Row): PortMap {
  return bindingsOf(liveEndpoints(ctx, row));
}

function liveEndpoints(ctx: Context, row: Row): readonly Endpoint[] {
  return isLive(row.phase) ? ctx.networks.endpoints(row.id) : [];
}

/** Exposed ports without a binding are listed, too, with null, but only while it runs. */
function portsOf(row: Row, live: readonly Endpoint[]): PortMap {
  if (live.length === 0) return {};
  const exposed = Object.keys(row.config.ExposedPorts ?? {}).map((port) => [port, null]);
  return { ...Object.fromEntries(exposed), ...bindingsOf(live) };
}

function bindingsOf(live: readonly Endpoint[]): PortMap {
  return Object.assign({}, ...live.map((endpoint) => endpoint.ports)) as PortMap;
}

function namesOf(row: Row, endpoint: Endpoint): readonly string[] | null {
  if (endpoint.networkName === "bridge") return null;
  return [...new Set([row.name, ...endpoint.aliases, row.id.slice(0, 12), row.config.Hostname])].filter(Boolean);
}

function settings(endpoint: Partial<Endpoint>, names: readonly string[] | null = null): EndpointSettings {
  const { config = {} } = endpoint;
  return {
    IPAMConfig: config.IPAMConfig ?? null,
    Links: config.Links ?? null,
    Aliases: config.Aliases ?? null,
    MacAddress: endpoint.macAddress ?? "",
    DriverOpts: config.DriverOpts ?? null,
    GwPriority: config.GwPriority ?? 0,
    NetworkID: endpoint.networkId ?? "",
    EndpointID: endpoint.id ?? "",
    Gateway: endpoint.gateway ?? "",
    IPAddress: endpoint.address ?? "",
    IPPrefixLen: endpoint.prefixLength ?? 0,
    IPv6Gateway: endpoint.gateway6 ?? "",
    GlobalIPv6Address: endpoint.address6 ?? "",
    GlobalIPv6PrefixLen: endpoint.prefixLength6 ?? 0,
    DNSNames: names,
  };
}

/** "" for a network that has been removed meanwhile. */
function idOf(ctx: Context, name: string): string {
  return ctx.networks.idOf(name) ?? "";
}
