import { EngineError, wrap } from "../errors/mod.ts";
import type { PortMap } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { forgetFlowsInto, forgetFlowsTo } from "./flows.ts";
import { findNetwork } from "./inspect.ts";
import { type PortWish, type PublishedPort, portWishes, toPortMap } from "./ports.ts";
import { type BridgeSettings, deletePorts, type EndpointRow, endpointsOf, insertPorts, portsOf } from "./table.ts";

/** Publishes ports of a holder that is connected, besides those that it has; all or none. Returns them with their host ports. */
export async function publishPorts(context: Context, holder: string, ports: PortMap): Promise<PortMap> {
  return await context.locks.run(`holder:${holder}`, async () => {
    await using undo = new AsyncDisposableStack();
    const { endpoint, bridge } = publishingEndpoint(context, holder);
    const fresh = await reservePorts(context, endpoint, portWishes(ports, bridge));
    undo.defer(() => context.hostPorts.release(endpoint.id, fresh));
    context.db.write((tx) => insertPorts(tx, endpoint.id, fresh));
    undo.defer(() => withdraw(context, endpoint, fresh));
    await context.nat.changePorts("add", { ...endpoint, ports: fresh });
    await forgetFlowsTo(context.host.net, fresh);
    undo.move();
    return toPortMap(fresh);
  });
}

/** Ends what is published on these ports of the host; ports of the map that are not published are passed over. */
export async function unpublishPorts(context: Context, holder: string, ports: PortMap): Promise<void> {
  await context.locks.run(`holder:${holder}`, async () => {
    for (const endpoint of context.db.read((q) => endpointsOf(q, holder))) {
      const going = context.db.read((q) => portsOf(q, endpoint.id)).filter((port) => isNamed(ports, port));
      if (going.length === 0) continue;
      await withdraw(context, endpoint, going);
      context.hostPorts.release(endpoint.id, going);
      await forgetFlowsInto(context.host.net, { ...endpoint, ports: going });
    }
  });
}

/** The rows go first: who makes the tables anew meanwhile leaves these ports out. */
async function withdraw(context: Context, endpoint: EndpointRow, ports: readonly PublishedPort[]): Promise<void> {
  context.db.write((tx) => deletePorts(tx, ports));
  await context.nat.changePorts("delete", { ...endpoint, ports });
}

/** The first that leads outside; it has the container's published ports from its start, too. */
function publishingEndpoint(context: Context, holder: string): { endpoint: EndpointRow; bridge: BridgeSettings } {
  const endpoints = context.db.read((q) => endpointsOf(q, holder));
  for (const endpoint of endpoints) {
    const { bridge, internal } = context.db.read((q) => findNetwork(q, endpoint.networkId));
    if (bridge && !internal) return { endpoint, bridge };
  }
  throw new EngineError("conflict", "no network of the container leads outside: its ports cannot be published");
}

/** All or none, besides what the endpoint has; Docker's words for the endpoint stand before what was in the way. */
export async function reservePorts(
  context: Context,
  { id, name }: Pick<EndpointRow, "id" | "name">,
  wishes: readonly PortWish[],
): Promise<PublishedPort[]> {
  try {
    return await context.hostPorts.reserve(id, wishes);
  } catch (err) {
    throw wrap(err, `driver failed programming external connectivity on endpoint ${name} (${id})`);
  }
}

function isNamed(ports: PortMap, port: PublishedPort): boolean {
  const bindings = ports[`${port.containerPort}/${port.protocol}`] ?? [];
  return bindings.some(({ HostIp, HostPort }) => HostIp === port.hostAddress && HostPort === String(port.hostPort));
}
