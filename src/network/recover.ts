import { existsSync, mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { ensureBridges, removeBridge } from "./bridges.ts";
import { type Context, kernelNames, netnsDirectory, netnsPath } from "./context.ts";
import { placeDefault, routeElsewhere } from "./defaults.ts";
import { closeSandbox, takeDown, unplug } from "./disconnect.ts";
import { resolvesNames } from "./dns/names.ts";
import { aliasOf, ensureParent } from "./drivers/parents.ts";
import { legsIn } from "./plug.ts";
import {
  allEndpoints,
  type EndpointRow,
  type NetworkRow,
  networkById,
  networkInUse,
  networks,
  portsOf,
  sandboxes,
  unreadyEndpoints,
} from "./table.ts";
import { deleteLinks, ipBatch, type Link, links } from "./tools.ts";

/** The kernel follows the rows, the rows follow the living, and what neither knows goes. */
export async function recover(context: Context, live: ReadonlySet<string>): Promise<void> {
  mkdirSync(netnsDirectory(context.config), { recursive: true, mode: 0o711 });
  const { db } = context;
  await context.spare.close();
  await ensureBridges(context, db.read(networks));
  await restoreParents(context);
  await settleCollision(context);
  await context.nat.open();
  for (const endpoint of db.read(unreadyEndpoints)) {
    await takeDown(context, endpoint);
    await unplug(context, endpoint).catch(() => undefined); // it may be half made, or nothing at all
  }
  for (const holder of db.read(sandboxes)) if (!live.has(holder)) await closeSandbox(context, holder);
  sweepNamespaces(context);
  await sweepLinks(context);
  await replug(context);
  for (const endpoint of db.read(allEndpoints)) {
    await reserveAgain(context, endpoint);
    await resolveAgain(context, endpoint);
  }
  context.spare.prepare();
}

/** Takes all of ours out of the kernel, if no endpoint is left that needs it. */
export async function shutdown(context: Context): Promise<void> {
  await context.spare.close();
  await context.names.close();
  await context.nat.release();
  sweepNamespaces(context);
  if (context.db.read(allEndpoints).length > 0) return;
  context.hostPorts.releaseAll();
  await context.nat.close();
  const rows = context.db.read(networks);
  for (const { bridge } of rows) if (bridge?.adopted) await removeBridge(context, bridge);
  await deleteLinks(context, [...(await ourLinks(context)), ...keptLinks(context)]);
  removeDirectory(netnsDirectory(context.config));
}

/** Two daemons may have chosen the same subnet at the same moment; their tags send them to different ones. */
async function settleCollision(context: Context): Promise<void> {
  for (let attempt = 1; attempt <= 5; attempt++) {
    const row = context.db.read(networks).find((candidate) => candidate.name === "bridge");
    if (!row || !mustMove(context, row)) return;
    await deleteLinks(context, [context.config.bridge]);
    const skip = Number.parseInt(context.config.tag, 36) % 97;
    await ensureBridges(context, [placeDefault(context, skip * attempt)]);
  }
}

function mustMove(context: Context, row: NetworkRow): boolean {
  if (!row.bridge?.automatic || context.db.read((q) => networkInUse(q, row.id))) return false;
  return routeElsewhere(context, row.bridge);
}

function sweepNamespaces(context: Context): void {
  const directory = netnsDirectory(context.config);
  if (!existsSync(directory)) return;
  const known = new Set(context.db.read(sandboxes));
  for (const holder of readdirSync(directory)) {
    if (!known.has(holder)) context.host.net.removeNamespace(netnsPath(context.config, holder));
  }
}

async function sweepLinks(context: Context): Promise<void> {
  const known = new Set([...context.db.read(allEndpoints).map((row) => row.veth), ...keptLinks(context)]);
  const unknown = (await ourLinks(context)).filter((name) => !known.has(name));
  await deleteLinks(context, unknown);
}

/** A bridge that had to be made anew has lost its ports. */
async function replug(context: Context): Promise<void> {
  const masters = new Map((await links(context)).map((link) => [link.name, link.master]));
  const rows = new Map(context.db.read(networks).map((row) => [row.id, row.bridge]));
  const lines = context.db.read(allEndpoints).flatMap((endpoint) => {
    const bridge = rows.get(endpoint.networkId);
    if (!bridge || !masters.has(endpoint.veth) || masters.get(endpoint.veth) === bridge.link) return [];
    const port = `type bridge_slave hairpin on isolated ${bridge.icc ? "off" : "on"}`;
    return [`link set ${endpoint.veth} master ${bridge.link} up`, `link set ${endpoint.veth} ${port}`];
  });
  await ipBatch(context, lines);
}

/** A port that another program took while the daemon was away goes on leading to the container: nft comes first. */
async function reserveAgain(context: Context, endpoint: EndpointRow): Promise<void> {
  const refused: unknown[] = [];
  for (const port of context.db.read((q) => portsOf(q, endpoint.id))) {
    const wish = { ...port, first: port.hostPort, last: port.hostPort };
    await context.hostPorts.reserve(endpoint.id, [wish]).catch((err: unknown) => void refused.push(err));
  }
  const [error] = refused;
  if (error)
    context.log.warn("Reserve published ports again", { container: endpoint.holder, count: refused.length, error });
}

/**
 * The container leads its questions to the resolver still; this one has to learn whose they are. Links to the one before
 * have gone with it.
 */
async function resolveAgain(context: Context, endpoint: EndpointRow): Promise<void> {
  const network = context.db.read((q) => networkById(q, endpoint.networkId));
  if (!network || !resolvesNames(network)) return;
  const again = async () => {
    await context.names.join(network, endpoint);
    const asking = legsIn(context, endpoint.holder).find((leg) => resolvesNames(leg.network));
    if (network.vlan && asking?.row.id === endpoint.id) await context.names.tie(endpoint);
  };
  await again().catch((error: unknown) => {
    context.log.warn("Resolve names again", { container: endpoint.holder, error });
  });
}

/** Bridges and parents of ours that rows know. */
function keptLinks(context: Context): string[] {
  return context.db
    .read(networks)
    .flatMap(({ bridge, vlan }) => [
      ...(bridge && !bridge.adopted ? [bridge.link] : []),
      ...(vlan?.made ? [vlan.parent] : []),
    ]);
}

/** Every veth and every bridge that carries our tag in its name, and every parent that does in its alias. */
async function ourLinks(context: Context): Promise<string[]> {
  const { vethPrefix, bridgePrefix } = kernelNames(context.config.tag);
  const alias = aliasOf(context);
  const ours = (link: Link) =>
    link.name.startsWith(vethPrefix) || link.name.startsWith(bridgePrefix) || link.alias === alias;
  return (await links(context)).filter(ours).map(({ name }) => name);
}

/** A parent whose own link has gone takes only its network with it. */
async function restoreParents(context: Context): Promise<void> {
  for (const network of context.db.read(networks)) {
    await ensureParent(context, network).catch((error: unknown) => {
      context.log.warn("Make the parent of a network again", { network: network.name, error });
    });
  }
}

function removeDirectory(path: string): void {
  try {
    rmdirSync(path);
  } catch (err) {
    const code = (err as NodeJS.ErrnoException).code;
    if (code !== "ENOENT" && code !== "ENOTEMPTY") throw err; // not empty: sandboxes without a network live on
  }
}
