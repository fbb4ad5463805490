import { randomBytes } from "node:crypto";
import type { Query, Tx } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { EndpointConfig } from "../wire/mod.ts";
import { formatAddress, macOf, parseAddress } from "./address.ts";
import { claimSix, takeSix } from "./address-pool.ts";
import { parseAddress6 } from "./address6.ts";
import { type Context, kernelNames, netnsPath } from "./context.ts";
import { resolverRoutes, resolvesNames } from "./dns/names.ts";
import { forgetFlowsTo } from "./flows.ts";
import { findNetwork, isPredefined, toEndpoint } from "./inspect.ts";
import { reservePorts } from "./live-ports.ts";
import type { Endpoint, EndpointRequest } from "./network.ts";
import { type PortWish, type PublishedPort, portWishes } from "./ports.ts";
import { publishAfter } from "./publish.ts";
import {
  type BridgeSettings,
  deleteEndpoint,
  type EndpointRow,
  endpointsOf,
  hasSandbox,
  insertEndpoint,
  markReady,
  type NetworkRow,
  networkById,
  type ResolverSettings,
  type SixSettings,
  withdrawPorts,
} from "./table.ts";
import { deleteLinks } from "./tools.ts";

type BridgeNetwork = NetworkRow & { readonly bridge: BridgeSettings };

/** Checks all, then: host ports, rows, veth, nft elements, and back in reverse when one of them fails. */
export async function connect(context: Context, idOrName: string, request: EndpointRequest): Promise<Endpoint> {
  const { id } = context.db.read((q) => findNetwork(q, idOrName));
  return await context.locks.run(`holder:${request.holder}`, async () => {
    await using undo = new AsyncDisposableStack();
    // Only until there is a row, which keeps the network from being removed: many plug into one network at a time.
    const claimed = await context.locks.run(`network:${id}`, () => claim(context, { id, request, undo }));
    const { network, row, ports } = claimed;
    await plug(context, network, row);
    undo.defer(() => deleteLinks(context, [row.veth]));
    await publish(context, row, { ports, undo });
    if (resolvesNames(network)) await context.names.join(network, row);
    undo.defer(() => context.names.leave(row.id));
    ready(context, network, row);
    undo.move();
    return context.db.read((q) => toEndpoint(q, row));
  });
}

async function claim(
  context: Context,
  { id, request, undo }: { id: string; request: EndpointRequest; undo: AsyncDisposableStack },
) {
  const network = bridgeNetwork(context.db.read((q) => findNetwork(q, id)));
  const address = wantedAddress(network, request.config ?? {});
  const address6 = wantedAddress6(network, request.config ?? {});
  const wishes = wantedPorts(network, request);
  const endpointId = randomBytes(32).toString("hex");
  const ports = await reservePorts(context, { id: endpointId, name: request.name }, wishes);
  undo.defer(() => context.hostPorts.release(endpointId));
  const row = insert(context, { endpointId, network, request, address, address6, ports });
  undo.defer(() => context.db.write((tx) => deleteEndpoint(tx, endpointId)));
  return { network, row, ports };
}

function bridgeNetwork(network: NetworkRow): BridgeNetwork {
  if (network.bridge) return { ...network, bridge: network.bridge };
  throw new EngineError(
    "forbidden",
    `container cannot be disconnected from ${network.name} network or connected to ${network.name} network`,
  );
}

function wantedAddress(network: BridgeNetwork, config: EndpointConfig): number | undefined {
  refuseUnknown(network, config);
  const text = config.IPAMConfig?.IPv4Address;
  if (!text) return undefined;
  if (isPredefined(network.name)) {
    throw new EngineError("invalid", "user specified IP address is supported on user defined networks only");
  }
  if (network.bridge.automatic) {
    throw new EngineError(
      "invalid",
      "user specified IP address is supported only when connecting to networks with user configured subnets",
    );
  }
  const address = parseAddress(text);
  if (address === undefined) throw new EngineError("invalid", `invalid IPv4 address: ${text}`);
  return address;
}

function wantedAddress6({ name, bridge }: BridgeNetwork, config: EndpointConfig): bigint | undefined {
  const text = config.IPAMConfig?.IPv6Address;
  if (!text) return undefined;
  if (isPredefined(name)) {
    throw new EngineError("invalid", "user specified IP address is supported on user defined networks only");
  }
  const address = parseAddress6(text);
  if (address === undefined) throw new EngineError("invalid", `invalid IPv6 address: ${text}`);
  if (bridge.six) return address;
  throw new EngineError("invalid", `no configured subnet contains IP address ${text}: network ${name} has no IPv6`);
}

function refuseUnknown(network: BridgeNetwork, config: EndpointConfig): void {
  const refused = {
    "link-local addresses": config.IPAMConfig?.LinkLocalIPs?.length,
    "endpoint driver options": Object.keys(config.DriverOpts ?? {}).length,
    "a gateway priority": config.GwPriority,
  };
  for (const [what, wanted] of Object.entries(refused)) {
    if (wanted) throw new EngineError("not-implemented", `${what} of an endpoint: not implemented`);
  }
  if (isPredefined(network.name) && config.Aliases?.length) {
    throw new EngineError("invalid", "network-scoped alias is supported only for containers in user defined networks");
  }
}

function wantedPorts(network: BridgeNetwork, request: EndpointRequest): PortWish[] {
  const wishes = portWishes(request.ports ?? {}, network.bridge, request.portsBefore);
  if (wishes.length > 0 && network.internal) {
    throw new EngineError("invalid", `ports cannot be published on internal network ${network.name}`);
  }
  return wishes;
}

interface NewEndpoint {
  readonly endpointId: string;
  readonly network: BridgeNetwork;
  readonly request: EndpointRequest;
  readonly address: number | undefined;
  readonly address6: bigint | undefined;
  readonly ports: readonly PublishedPort[];
}

function insert(context: Context, fresh: NewEndpoint): EndpointRow {
  const { network, request, endpointId } = fresh;
  return context.db.write((tx) => {
    const siblings = holdersEndpoints(tx, network, request);
    const { id, bridge } = network;
    const address =
      fresh.address === undefined
        ? context.addresses.take(tx, id, bridge)
        : context.addresses.claim(tx, id, { bridge, address: fresh.address });
    const address6 = bridge.six && addressSix(tx, id, { bridge, six: bridge.six, address, asked: fresh.address6 });
    const row: EndpointRow = {
      id: endpointId,
      networkId: id,
      holder: request.holder,
      name: request.name,
      interface: freeInterface(siblings),
      veth: kernelNames(context.config.tag).veth(endpointId),
      address,
      ...(address6 !== undefined && { address6 }),
      mac: macAddress(request) ?? macOf(address),
      config: request.config ?? {},
      resolver: resolverSettings(request),
    };
    insertEndpoint(tx, row, fresh.ports);
    return row;
  });
}

interface AskedSix {
  readonly bridge: BridgeSettings;
  readonly six: SixSettings;
  readonly address: number;
  readonly asked: bigint | undefined;
}

function addressSix(tx: Tx, networkId: string, { asked, ...from }: AskedSix): string {
  if (asked === undefined) return takeSix(tx, networkId, from);
  return claimSix(tx, networkId, { six: from.six, address: asked });
}

function resolverSettings({ config, dnsNames = [], links = {}, upstreams = [] }: EndpointRequest): ResolverSettings {
  return { names: [...dnsNames, ...(config?.Aliases ?? [])], links, upstreams };
}

function holdersEndpoints(q: Query, network: NetworkRow, request: EndpointRequest): EndpointRow[] {
  const { holder, name } = request;
  if (!hasSandbox(q, holder)) throw new EngineError("not-found", `network sandbox of ${holder} not found`);
  const siblings = endpointsOf(q, holder);
  if (siblings.some((sibling) => sibling.networkId === network.id)) {
    throw new EngineError("forbidden", `endpoint with name ${name} already exists in network ${network.name}`);
  }
  return siblings;
}

function freeInterface(siblings: readonly EndpointRow[]): string {
  const taken = new Set(siblings.map((sibling) => sibling.interface));
  for (let number = 0; ; number++) if (!taken.has(`eth${number}`)) return `eth${number}`;
}

function macAddress(request: EndpointRequest): string | undefined {
  const text = request.config?.MacAddress || request.macAddress;
  if (!text) return undefined;
  const plain = text.toLowerCase().replaceAll("-", ":");
  const [first = ""] = plain.split(":");
  if (!/^([\da-f]{2}:){5}[\da-f]{2}$/.test(plain)) throw new EngineError("invalid", `invalid MAC address: ${text}`);
  if (Number.parseInt(first, 16) & 1)
    throw new EngineError("invalid", `invalid MAC address: ${text} is a multicast address`);
  return plain;
}

async function plug(context: Context, network: BridgeNetwork, row: EndpointRow): Promise<void> {
  const { bridge, internal } = network;
  const others = context.db.read((q) => endpointsOf(q, row.holder)).filter((other) => other.id !== row.id);
  const first = others.length === 0;
  const asks = resolvesNames(network) && !others.some((other) => resolvesIn(context, other));
  const namespace = netnsPath(context.config, row.holder);
  if (asks) await context.names.redirect(namespace);
  await context.host.net.plugVeth({
    name: row.veth,
    bridge: bridge.link,
    namespace,
    inside: row.interface,
    macAddress: row.mac,
    address: formatAddress(row.address),
    prefixLength: bridge.subnet.prefixLength,
    isolated: !bridge.icc,
    ...(first && !internal ? { gateway: formatAddress(bridge.gateway) } : {}),
    ...(row.address6 !== undefined &&
      bridge.six && { six: sixPlan(row.address6, { six: bridge.six, leads: first && !internal }) }),
    ...(asks ? { routes: resolverRoutes(formatAddress(row.address)) } : {}),
    ...(bridge.mtu === undefined ? {} : { mtu: bridge.mtu }),
  });
}

function sixPlan(address: string, { six, leads }: { six: SixSettings; leads: boolean }) {
  return { address, prefixLength: six.subnet.prefixLength, ...(leads && { gateway: six.gateway }) };
}

function resolvesIn(context: Context, { networkId }: EndpointRow): boolean {
  const network = context.db.read((q) => networkById(q, networkId));
  return network !== undefined && resolvesNames(network);
}

async function publish(
  context: Context,
  row: EndpointRow,
  at: { ports: readonly PublishedPort[]; undo: AsyncDisposableStack },
): Promise<void> {
  if (at.ports.length === 0) return;
  at.undo.defer(() => {
    context.db.write((tx) => withdrawPorts(tx, row.id));
    return context.nat.changePorts("delete", { ...row, ports: at.ports });
  });
  await context.nat.changePorts("add", { ...row, ports: at.ports });
  await forgetFlowsTo(context.host.net, at.ports);
}

function ready(context: Context, network: NetworkRow, row: EndpointRow): void {
  context.db.write((tx) => {
    markReady(tx, row.id);
    publishAfter(tx, context, { action: "connect", network, holder: row.holder });
  });
}
