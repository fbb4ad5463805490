import type { InsidePlan } from "../host/mod.ts";
import { formatAddress } from "./address.ts";
import { type Context, netnsPath } from "./context.ts";
import { resolverRoutes, resolvesNames } from "./dns/names.ts";
import { checkEndpoint, type Joinable, placeholder } from "./endpoint.ts";
import { type Leg, leader, type Way, wayOut } from "./leads.ts";
import { type EndpointRow, endpointsOf, networkById } from "./table.ts";

/** Makes the endpoint's interface in the container's namespace, with the default routes where it is the one that leads out. */
export async function plug(context: Context, network: Joinable, row: EndpointRow): Promise<void> {
  const others = legsIn(context, row.holder).filter((leg) => leg.row.id !== row.id);
  const asks = resolvesNames(network) && !others.some((other) => resolvesNames(other.network));
  const plan = insidePlan(context, { row, network }, others);
  if (asks) await context.names.redirect(plan.namespace);
  const { net } = context.host;
  const { bridge, vlan } = network;
  if (vlan) {
    const mac = row.mac === "" ? {} : { macAddress: row.mac };
    await net.plugVlan({ ...plan, ...mac, parent: vlan.parent, kind: vlan.kind });
    await using undo = new AsyncDisposableStack();
    undo.defer(() => net.unplugInside(plan));
    if (asks) await context.names.tie(row);
    undo.move();
  }
  if (!bridge) return;
  const routes = [...(plan.routes ?? []), ...(asks ? resolverRoutes(formatAddress(row.address)) : [])];
  const isolated = !bridge.icc;
  await net.plugVeth({ ...plan, routes, name: row.veth, bridge: bridge.link, macAddress: row.mac, isolated });
}

/** A container's legs, the first connected first. */
export function legsIn(context: Context, holder: string): Leg[] {
  return context.db.read((q) =>
    endpointsOf(q, holder).flatMap((row) => {
      const network = networkById(q, row.networkId);
      return network ? [{ row, network }] : [];
    }),
  );
}

/** Where the default routes of both kinds go by this leg, as {@link InsidePlan} has them. */
export function waysOut(ways: readonly { readonly kind: 4 | 6; readonly way: Way }[]) {
  const gateways = ways.flatMap(({ kind, way }) => (way === "interface" ? [] : [{ kind, gateway: way.gateway }]));
  const straight = ways.filter(({ way }) => way === "interface");
  return { gateways, routes: straight.map(({ kind }) => ({ to: kind === 4 ? "0.0.0.0/0" : "::/0" })) };
}

function insidePlan(context: Context, leg: Leg & { readonly network: Joinable }, others: readonly Leg[]): InsidePlan {
  const { row, network } = leg;
  const { legs } = network;
  const wish = checkEndpoint(network, row.config);
  const led = ([4, 6] as const).flatMap((kind) => {
    const way = wayOut(network, kind);
    return way && leader([...others, leg], kind)?.row.id === row.id ? [{ kind, way }] : [];
  });
  const { gateways, routes } = waysOut(led);
  const gateway = gateways.find(({ kind }) => kind === 4)?.gateway;
  const gateway6 = gateways.find(({ kind }) => kind === 6)?.gateway;
  return {
    namespace: netnsPath(context.config, row.holder),
    inside: row.interface,
    address: formatAddress(row.address),
    prefixLength: legs.subnet.prefixLength,
    addresses: wish.linkLocal,
    routes,
    sysctls: wish.sysctls.map(({ path, value }) => ({ path: path.replace(placeholder, row.interface), value })),
    ...(gateway !== undefined && { gateway }),
    ...(row.address6 !== undefined &&
      legs.six && {
        six: {
          address: row.address6,
          prefixLength: legs.six.subnet.prefixLength,
          ...(gateway6 !== undefined && { gateway: gateway6 }),
        },
      }),
    ...(legs.mtu !== undefined && { mtu: legs.mtu }),
  };
}
