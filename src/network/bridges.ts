import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { formatAddress, macOf, overlap } from "./address.ts";
import { formatAddress6, overlap6, type Subnet6 } from "./address6.ts";
import type { Context } from "./context.ts";
import { defaultPools, pickSubnet } from "./pools.ts";
import { type BridgeSettings, type NetworkRow, networks, type SixSettings } from "./table.ts";
import { deleteLinks, ipBatch, links, routes, routes6 } from "./tools.ts";

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

/** A random unique local /64 (RFC 4193, 3.2) that is free on this host and in our rows. */
export async function chooseSix(context: Context): Promise<SixSettings> {
  const taken = await taken6(context);
  for (;;) {
    const prefix = (0xfdn << 120n) | (BigInt(`0x${randomBytes(7).toString("hex")}`) << 64n);
    const subnet = { base: formatAddress6(prefix), prefixLength: 64 };
    if (taken.some((other) => overlap6(other, subnet))) continue;
    return { subnet, range: subnet, gateway: formatAddress6(prefix + 1n), reserved: [] };
  }
}

/** Throws "forbidden" as for IPv4. */
export async function checkSixFree(context: Context, { subnet }: SixSettings): Promise<void> {
  if ((await taken6(context)).some((other) => overlap6(other, subnet))) throw overlapping();
}

async function taken6(context: Context): Promise<Subnet6[]> {
  const rows = context.db.read(networks).flatMap(({ bridge }) => (bridge?.six ? [bridge.six.subnet] : []));
  return [...rows, ...(await routes6(context))];
}

/** Throws "forbidden" with Docker's words when the subnet is one of another network of ours, or the host has a route into it. */
export async function checkSubnetFree(context: Context, bridge: Pick<BridgeSettings, "subnet">): Promise<void> {
  const rows = context.db.read(networks);
  const clash = rows.some((row) => row.bridge && overlap(row.bridge.subnet, bridge.subnet));
  if (clash || (await routeElsewhere(context, bridge))) {
    throw overlapping();
  }
}

function overlapping(): EngineError {
  return new EngineError("forbidden", "invalid pool request: Pool overlaps with other one on this address space");
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
  if (wanted.some(({ six }) => six)) forwardSix();
}

/**
 * A host that forwards takes no router advertisements, and would lose the addresses that it has from them, unless told
 * otherwise for each of its links (ip-sysctl, accept_ra: 2).
 */
function forwardSix(): void {
  const root = "/proc/sys/net/ipv6/conf";
  if (readFileSync(`${root}/all/forwarding`, "utf8").trim() === "1") return;
  for (const link of readdirSync(root)) {
    const file = `${root}/${link}/accept_ra`;
    if (link !== "all" && existsSync(file) && readFileSync(file, "utf8").trim() === "1") writeFileSync(file, "2");
  }
  writeFileSync(`${root}/all/forwarding`, "1");
}

export async function removeBridge(context: Context, bridge: BridgeSettings): Promise<void> {
  await deleteLinks(context, [bridge.link]);
}

/** A MAC address of its own keeps the bridge from taking over, and changing with, that of a port. */
function bridgeLines({ link, gateway, subnet, mtu, six }: BridgeSettings, there: boolean): string[] {
  const create = `link add ${link} address ${macOf(gateway)} ${mtu === undefined ? "" : `mtu ${mtu} `}type bridge`;
  const address = `addr replace ${formatAddress(gateway)}/${subnet.prefixLength} broadcast + dev ${link}`;
  const address6 = six ? [`addr replace ${six.gateway}/${six.subnet.prefixLength} dev ${link} nodad`] : [];
  return [...(there ? [] : [create]), address, ...address6, `link set ${link} up`];
}

function setting(path: string): void {
  const file = `/proc/sys/${path}`;
  if (readFileSync(file, "utf8").trim() !== "1") writeFileSync(file, "1");
}
