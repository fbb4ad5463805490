import { EngineError } from "../errors/mod.ts";
import { formatAddress } from "./address.ts";
import { type Context, netnsPath } from "./context.ts";
import { resolverRoutes, resolvesNames } from "./dns/names.ts";
import { forgetFlowsInto } from "./flows.ts";
import { findNetwork } from "./inspect.ts";
import { leader, wayOut } from "./leads.ts";
import { legsIn, waysOut } from "./plug.ts";
import { publishAfter } from "./publish.ts";
import {
  deleteEndpoint,
  deleteSandbox,
  type EndpointRow,
  endpointsOf,
  hasSandbox,
  insertSandbox,
  networkById,
  portsOf,
  withdrawPorts,
} from "./table.ts";
import { deleteLinks } from "./tools.ts";

export async function disconnect(context: Context, idOrName: string, holder: string): Promise<void> {
  const network = context.db.read((q) => findNetwork(q, idOrName));
  await context.locks.run(`holder:${holder}`, async () => {
    const all = context.db.read((q) => endpointsOf(q, holder));
    const endpoint = all.find((candidate) => candidate.networkId === network.id);
    if (!endpoint)
      throw new EngineError("forbidden", `container ${holder} is not connected to network ${network.name}`);
    await takeDown(context, endpoint);
    await unplug(context, endpoint);
    await moveDefaultRoutes(context, holder);
    await moveResolver(
      context,
      all.filter((candidate) => candidate !== endpoint),
    );
  });
}

export async function openSandbox(context: Context, holder: string, owner?: string): Promise<{ path: string }> {
  if (!/^[\w.-]{1,128}$/.test(holder) || /^\.+$/.test(holder)) {
    throw new EngineError("invalid", `invalid name of a network sandbox: "${holder}"`);
  }
  return await context.locks.run(`holder:${holder}`, async () => {
    const path = netnsPath(context.config, holder);
    if (context.db.read((q) => hasSandbox(q, holder))) {
      throw new EngineError("conflict", `network sandbox of ${holder} is open already`);
    }
    context.db.write((tx) => insertSandbox(tx, holder));
    try {
      if (owner === undefined) await context.spare.place(path);
      else await context.host.net.createNamespace(path, owner);
    } catch (err) {
      context.db.write((tx) => deleteSandbox(tx, holder));
      throw err;
    }
    return { path };
  });
}

export async function closeSandbox(context: Context, holder: string): Promise<void> {
  await context.locks.run(`holder:${holder}`, async () => {
    const endpoints = context.db.read((q) => endpointsOf(q, holder));
    for (const endpoint of endpoints) await takeDown(context, endpoint);
    context.host.net.removeNamespace(netnsPath(context.config, holder));
    for (const { id } of endpoints) context.names.dropTie(id);
    context.db.write((tx) => deleteSandbox(tx, holder));
  });
}

/**
 * Ends an endpoint: ports, flows, bridge port, rows. The pair of interfaces itself is left to the caller, or to the end
 * of its namespace, because the kernel takes 15 to 50 ms for it; off the bridge it disturbs nobody.
 * A step that fails does not keep the others from being done; what it leaves is found by the next start.
 */
export async function takeDown(context: Context, endpoint: EndpointRow): Promise<void> {
  const ports = context.db.read((q) => portsOf(q, endpoint.id));
  const attempt = async (what: string, step: () => void | Promise<void>) => {
    try {
      await step();
    } catch (error) {
      context.log.warn(what, { endpoint: endpoint.id, container: endpoint.holder, error });
    }
  };
  // The rows go first: who makes the tables anew meanwhile leaves these ports out.
  context.db.write((tx) => withdrawPorts(tx, endpoint.id));
  if (ports.length > 0)
    await attempt("Unpublish ports", () => context.nat.changePorts("delete", { ...endpoint, ports }));
  await attempt("Unplug", () => context.host.net.unplugVeth(endpoint.veth));
  await attempt("Forget flows", () => forgetFlowsInto(context.host.net, { ...endpoint, ports }));
  context.hostPorts.release(endpoint.id);
  context.names.leave(endpoint.id);
  context.db.write((tx) => {
    const network = networkById(tx, endpoint.networkId);
    deleteEndpoint(tx, endpoint.id);
    if (network) publishAfter(tx, context, { action: "disconnect", network, holder: endpoint.holder });
  });
}

/** Removes the interface inside, whatever it is; to be called when the endpoint is off the network. */
export async function unplug(context: Context, endpoint: EndpointRow): Promise<void> {
  const network = context.db.read((q) => networkById(q, endpoint.networkId));
  if (!network?.vlan) return await deleteLinks(context, [endpoint.veth]);
  await context.names.untie(endpoint.id);
  await context.host.net.unplugInside({
    namespace: netnsPath(context.config, endpoint.holder),
    inside: endpoint.interface,
  });
}

/** The container keeps a way out through the networks left: of each kind of addresses, by the one that leads now. */
async function moveDefaultRoutes(context: Context, holder: string): Promise<void> {
  const legs = legsIn(context, holder);
  for (const leg of legs) {
    const ways = ([4, 6] as const).flatMap((kind) => {
      const way = wayOut(leg.network, kind);
      return way && leader(legs, kind) === leg ? [{ kind, way }] : [];
    });
    if (ways.length === 0) continue;
    const { gateways, routes } = waysOut(ways);
    const at = { namespace: netnsPath(context.config, holder), inside: leg.row.interface };
    await context.host.net.setRoutes({ ...at, routes, gateways: gateways.map(({ gateway }) => gateway) });
  }
}

/** Questions go out by another network from now on; the routes of the one that is left have gone with its veth. */
async function moveResolver(context: Context, left: readonly EndpointRow[]): Promise<void> {
  for (const endpoint of left) {
    const network = context.db.read((q) => findNetwork(q, endpoint.networkId));
    if (!resolvesNames(network)) continue;
    if (network.vlan) return await context.names.tie(endpoint);
    const routes = resolverRoutes(formatAddress(endpoint.address));
    const namespace = netnsPath(context.config, endpoint.holder);
    await context.host.net.setRoutes({ namespace, inside: endpoint.interface, routes });
    return;
  }
}
