import { readFileSync, writeFileSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { formatAddress, macOf, overlap } from "./address.ts";
import type { Context } from "./context.ts";
import { defaultPools, pickSubnet } from "./pools.ts";
import { type BridgeSettings, type NetworkRow, networks } from "./table.ts";
import { deleteLinks, ipBatch, links, routes } from "./tools.ts";

/** Subnet, range and gateway of a network whose user chose none: free on this host and in our rows. */
export async function choosePool(
  context: Context,
  skip = 0,
): Promise<Pick<BridgeSettings, "subnet" | "range" | "gateway" | "reserved" | "automatic">> {
  const rows = context.db.read(networks).flatMap(({ bridge }) => (bridge ? [bridge.subnet] : []));
  const taken = [...(await routes(context)).map((route) => route.subnet), ...rows];
  const subnet = pickSubnet(context.config.pools ?? defaultPools, taken, skip);
  return { subnet, range: subnet, gateway: subnet.base + 1, reserved: [], automatic: true };
}

/** Throws "forbidden" with Docker's words when the subnet is one of another network of ours, or the host has a route into it. */
export async function checkSubnetFree(context: Context, bridge: Pick<BridgeSettings, "subnet">): Promise<void> {
  const rows = context.db.read(networks);
  const clash = rows.some((row) => row.bridge && overlap(row.bridge.subnet, bridge.subnet));
  if (clash || (await routeElsewhere(context, bridge))) {
    throw new EngineError("forbidden", "invalid pool request: Pool overlaps with other one on this address space");
  }
}

/** True when the host reaches a part of the subnet through another link. */
export async function routeElsewhere(
  context: Context,
  bridge: Pick<BridgeSettings, "subnet"> & { readonly link?: string },
): Promise<boolean> {
  return (await routes(context)).some((route) => route.link !== bridge.link && overlap(route.subnet, bridge.subnet));
}

/** Makes the bridges that are missing, one ip(8) for all, and gives every one what it needs of the kernel. */
export async function ensureBridges(context: Context, rows: readonly NetworkRow[]): Promise<void> {
  const there = new Set((await links(context)).map((link) => link.name));
  const wanted = rows.flatMap((row) => (row.bridge ? [row.bridge] : []));
  await ipBatch(
    context,
    wanted.flatMap((bridge) => bridgeLines(bridge, there.has(bridge.link))),
  );
  setting("net/ipv4/ip_forward");
  for (const { link } of wanted) setting(`net/ipv4/conf/${link}/route_localnet`);
}

export async function removeBridge(context: Context, bridge: BridgeSettings): Promise<void> {
  await deleteLinks(context, [bridge.link]);
}

/** A MAC address of its own keeps the bridge from taking over, and changing with, that of a port. */
function bridgeLines({ link, gateway, subnet, mtu }: BridgeSettings, there: boolean): string[] {
  const create = `link add ${link} address ${macOf(gateway)} ${mtu === undefined ? "" : `mtu ${mtu} `}type bridge`;
  const address = `addr replace ${formatAddress(gateway)}/${subnet.prefixLength} broadcast + dev ${link}`;
  return [...(there ? [] : [create]), address, `link set ${link} up`];
}

function setting(path: string): void {
  const file = `/proc/sys/${path}`;
  if (readFileSync(file, "utf8").trim() !== "1") writeFileSync(file, "1");
}
