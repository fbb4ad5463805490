import { EngineError, wrap } from "../errors/mod.ts";
import type { PortMap } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { findNetwork } from "./inspect.ts";
import { changePorts } from "./nat.ts";
import { type PortWish, type PublishedPort, portWishes, toPortMap } from "./ports.ts";
import { type BridgeSettings, deletePorts, type EndpointRow, endpointsOf, insertPorts, portsOf } from "./table.ts";
import { forgetUdp, forgetUdpOf } from "./tools.ts";

/** Publishes ports of a holder that is connected, besides those that it has; all or none. Returns them with their host ports. */
export async function publishPorts(context: Context, holder: string, ports: PortMap): Promise<PortMap> {
  return await context.locks.run(`holder:${holder}`, async () => {
    await using undo = new AsyncDisposableStack();
    const { endpoint, bridge } = publishingEndpoint(context, holder);
    const fresh = reservePorts(context, endpoint, portWishes(ports, bridge));
    undo.defer(() => context.hostPorts.release(endpoint.id, fresh));
    context.db.write((tx) => insertPorts(tx, endpoint.id, fresh));
    undo.defer(() => context.db.write((tx) => deletePorts(tx, fresh)));
    await changePorts(context, "add", { ...endpoint, ports: fresh });
    await forgetFlows(context, fresh);
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
      await changePorts(context, "delete", { ...endpoint, ports: going });
      context.db.write((tx) => deletePorts(tx, going));
      context.hostPorts.release(endpoint.id, going);
      if (going.some((port) => port.protocol === "udp")) {
        await forgetUdpOf(context, endpoint);
      }
    }
  });
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
export function reservePorts(
  context: Context,
  { id, name }: Pick<EndpointRow, "id" | "name">,
  wishes: readonly PortWish[],
): PublishedPort[] {
  try {
    return context.hostPorts.reserve(id, wishes);
  } catch (err) {
    throw wrap(err, `driver failed programming external connectivity on endpoint ${name} (${id})`);
  }
}

/** A client that sent before the port was published has a flow that leads nowhere. */
export async function forgetFlows(context: Context, ports: readonly PublishedPort[]): Promise<void> {
  for (const port of ports) {
    if (port.protocol === "udp") await forgetUdp(context, ["--orig-port-dst", String(port.hostPort)]);
  }
}

function isNamed(ports: PortMap, port: PublishedPort): boolean {
  const bindings = ports[`${port.containerPort}/${port.protocol}`] ?? [];
  return bindings.some(({ HostIp, HostPort }) => HostIp === port.hostAddress && HostPort === String(port.hostPort));
}
