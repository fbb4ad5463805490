import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { formatAddress, macOf } from "./address.ts";
import type { Context } from "./context.ts";
import { isolates } from "./leads.ts";
import type { BridgeSettings, NetworkRow } from "./table.ts";
import { deleteLinks, ipBatch } from "./tools.ts";

/** Makes the bridges that are missing, one ip(8) for all, and gives every one what it needs of the kernel. */
export async function ensureBridges(context: Context, rows: readonly NetworkRow[]): Promise<void> {
  const wanted = rows.flatMap((row) => (row.bridge ? [row.bridge] : []));
  if (wanted.length === 0) return;
  const lines = wanted.flatMap((bridge) => bridgeLines(bridge, context.host.net.linkKind(bridge.link) !== undefined));
  await ipBatch(context, lines);
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

/** One that was there before us only loses the addresses that it has from us. */
export async function removeBridge(context: Context, bridge: BridgeSettings): Promise<void> {
  if (!bridge.adopted) return await deleteLinks(context, [bridge.link]);
  if (context.host.net.linkKind(bridge.link) === undefined) return;
  const lines = addresses(bridge).map((address) => `addr del ${address} dev ${bridge.link}`);
  await context.host.processes.run(["ip", "-force", "-batch", "-"], {
    stdin: lines.map((line) => `${line}\n`).join(""),
  });
}

/** A MAC address of its own keeps the bridge from taking over, and changing with, that of a port. */
function bridgeLines(bridge: BridgeSettings, there: boolean): string[] {
  const { link, gateway, subnet, mtu } = bridge;
  const mac = macOf(gateway ?? subnet.base);
  const create = `link add ${link} address ${mac} ${mtu === undefined ? "" : `mtu ${mtu} `}type bridge`;
  const given = addresses(bridge).map((address) =>
    address.includes(":")
      ? `addr replace ${address} dev ${link} nodad`
      : `addr replace ${address} ${subnet.prefixLength < 31 ? "broadcast + " : ""}dev ${link}`,
  );
  return [...(there ? [] : [create]), ...given, `link set ${link} up`];
}

/** The host's own in the network: the gateways, unless the host is to have none. */
function addresses(bridge: BridgeSettings): string[] {
  const { gateway, subnet, six, inhibit } = bridge;
  const four = gateway !== undefined && !inhibit && !isolates(bridge, 4);
  return [
    ...(four ? [`${formatAddress(gateway)}/${subnet.prefixLength}`] : []),
    ...(six?.gateway !== undefined && !isolates(bridge, 6) ? [`${six.gateway}/${six.subnet.prefixLength}`] : []),
  ];
}

function setting(path: string): void {
  const file = `/proc/sys/${path}`;
  if (readFileSync(file, "utf8").trim() !== "1") writeFileSync(file, "1");
}
