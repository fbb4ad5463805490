import { randomBytes } from "node:crypto";
import type { Query, Tx } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { macOf } from "./address.ts";
import { claimSix, takeSix } from "./address-pool.ts";
import { type Context, kernelNames } from "./context.ts";
import { unplug } from "./disconnect.ts";
import { resolvesNames } from "./dns/names.ts";
import { checkEndpoint, type EndpointWish, type Joinable, joinable, parseMac } from "./endpoint.ts";
import { forgetFlowsTo } from "./flows.ts";
import { findNetwork, toEndpoint } from "./inspect.ts";
import { reservePorts } from "./live-ports.ts";
import type { Endpoint, EndpointRequest } from "./network.ts";
import { plug } from "./plug.ts";
import { type PortWish, type PublishedPort, portWishes } from "./ports.ts";
import { publishAfter } from "./publish.ts";
import {
  deleteEndpoint,
  type EndpointRow,
  endpointsOf,
  hasSandbox,
  insertEndpoint,
  type LegSettings,
  markReady,
  type NetworkRow,
  type ResolverSettings,
  type SixSettings,
  withdrawPorts,
} from "./table.ts";

/** Checks all, then: host ports, rows, veth, nft elements, and back in reverse when one of them fails. */
export async function connect(context: Context, idOrName: string, request: EndpointRequest): Promise<Endpoint> {
  const { id } = context.db.read((q) => findNetwork(q, idOrName));
  return await context.locks.run(`holder:${request.holder}`, async () => {
    await using undo = new AsyncDisposableStack();
    // Only until there is a row, which keeps the network from being removed: many plug into one network at a time.
    const claimed = await context.locks.run(`network:${id}`, () => claim(context, { id, request, undo }));
    const { network, row, ports } = claimed;
    await plug(context, network, row);
    undo.defer(() => unplug(context, row));
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
  const network = joinable(context.db.read((q) => findNetwork(q, id)));
  const wish = checkEndpoint(network, request.config ?? {});
  const wishes = wantedPorts(network, request);
  const endpointId = randomBytes(32).toString("hex");
  const ports = await reservePorts(context, { id: endpointId, name: request.name }, wishes);
  undo.defer(() => context.hostPorts.release(endpointId));
  const row = insert(context, { endpointId, network, request, wish, ports });
  undo.defer(() => context.db.write((tx) => deleteEndpoint(tx, endpointId)));
  return { network, row, ports };
}

function wantedPorts(network: Joinable, request: EndpointRequest): PortWish[] {
  const { bridge } = network;
  const wishes = portWishes(request.ports ?? {}, bridge ?? { hostAddress: "0.0.0.0" }, request.portsBefore);
  if (wishes.length === 0) return wishes;
  if (!bridge) {
    const why = "its containers have addresses of their own there, which are reached as they are";
    throw new EngineError("invalid", `ports cannot be published on ${network.driver} network ${network.name}: ${why}`);
  }
  if (network.internal) {
    throw new EngineError("invalid", `ports cannot be published on internal network ${network.name}`);
  }
  return wishes;
}

interface NewEndpoint {
  readonly endpointId: string;
  readonly network: Joinable;
  readonly request: EndpointRequest;
  readonly wish: EndpointWish;
  readonly ports: readonly PublishedPort[];
}

function insert(context: Context, fresh: NewEndpoint): EndpointRow {
  const { network, request, endpointId, wish } = fresh;
  return context.db.write((tx) => {
    const siblings = holdersEndpoints(tx, network, request);
    const { id, legs } = network;
    const address =
      wish.address === undefined
        ? context.addresses.take(tx, id, legs)
        : context.addresses.claim(tx, id, { legs, address: wish.address });
    const address6 = legs.six && addressSix(tx, id, { legs, six: legs.six, address, asked: wish.address6 });
    const row: EndpointRow = {
      id: endpointId,
      networkId: id,
      holder: request.holder,
      name: request.name,
      interface: interfaceOf(siblings, wish.interface, legs.prefix),
      veth: kernelNames(context.config.tag).veth(endpointId),
      address,
      ...(address6 !== undefined && { address6 }),
      mac: wish.macAddress ?? parseMac(network, request.macAddress) ?? ownMac(network, address),
      config: request.config ?? {},
      resolver: resolverSettings(request),
    };
    insertEndpoint(tx, row, fresh.ports);
    return row;
  });
}

interface AskedSix {
  readonly legs: LegSettings;
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

function interfaceOf(siblings: readonly EndpointRow[], asked: string | undefined, prefix = "eth"): string {
  const taken = new Set(siblings.map((sibling) => sibling.interface));
  if (asked === undefined)
    for (let number = 0; ; number++) if (!taken.has(`${prefix}${number}`)) return `${prefix}${number}`;
  if (!taken.has(asked)) return asked;
  throw new EngineError("conflict", `interface name ${asked} is in use in the container already`);
}

/** ipvlan and passthru have that of the parent. */
function ownMac({ vlan }: Joinable, address: number): string {
  const parents = vlan && (vlan.kind.type === "ipvlan" || vlan.kind.mode === "passthru");
  return parents ? "" : macOf(address);
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
