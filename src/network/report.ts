import { formatSubnet, overlap } from "./address.ts";
import { type Context, kernelNames, tablePrefix } from "./context.ts";
import { port } from "./dns/answerer.ts";
import { HostResolvers } from "./dns/resolvers.ts";
import { askByDatagram } from "./dns/upstream.ts";
import { type FirewallReport, firewallReport } from "./firewall/published.ts";
import type { FirewallWatch } from "./firewall/watch.ts";
import { dockerdChain, tagsAtDockerd } from "./nft/dockerd.ts";
import { routes } from "./obstacles.ts";
import { allEndpoints, networks } from "./table.ts";
import { links } from "./tools.ts";

/** How the host treats this daemon's networks. */
export interface NetworkReport {
  readonly firewall: FirewallReport;
  /** Those of the host's resolv.conf, and whether they answered within two seconds. */
  readonly resolvers: readonly { readonly server: string; readonly answers: boolean }[];
  /** Networks that a route of the host leads elsewhere. */
  readonly overlaps: readonly Overlap[];
  /** What is in the kernel under this daemon's names and in no row, and tables of daemons that are gone; each in nft's or ip's words. */
  readonly leftovers: readonly string[];
}

export interface Overlap {
  readonly network: string;
  readonly subnet: string;
  readonly route: string;
  readonly link: string;
}

/** Looks at all of it; takes two seconds where a resolver does not answer. */
export async function networkReport(context: Context, watch: FirewallWatch): Promise<NetworkReport> {
  const [firewall, resolvers, overlaps, left] = await Promise.all([
    firewallReport(context, watch),
    askedResolvers(context.config.resolvConf ?? "/etc/resolv.conf"),
    overlapsOf(context),
    leftovers(context),
  ]);
  return { firewall, resolvers, overlaps, leftovers: left };
}

const patience = 2000;
/** Who serves the root zone: RD, one question, "." NS IN. Every resolver knows. */
const anyQuestion = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);

async function askedResolvers(path: string): Promise<NetworkReport["resolvers"]> {
  const { servers } = new HostResolvers(path).read();
  return await Promise.all(
    servers.map(async (server) => {
      const answer = await askByDatagram({ server, port, query: anyQuestion, patience }).catch(() => undefined);
      return { server, answers: answer !== undefined };
    }),
  );
}

function overlapsOf(context: Context): Overlap[] {
  const all = routes(context);
  const rows = context.db.read(networks);
  const own = new Set(rows.flatMap(({ bridge }) => bridge?.link ?? []));
  return rows.flatMap(({ name, bridge }) => {
    const found = bridge && all.find(({ subnet, link }) => !own.has(link) && overlap(subnet, bridge.subnet));
    if (!found) return [];
    const { subnet, link } = found;
    return [{ network: name, subnet: formatSubnet(bridge.subnet), route: formatSubnet(subnet), link }];
  });
}

async function leftovers(context: Context): Promise<string[]> {
  const { tag } = context.config;
  const { vethPrefix, bridgePrefix } = kernelNames(tag);
  const names = (await links(context)).map(({ name }) => name);
  const rows = context.db.read(networks).flatMap(({ bridge }) => bridge?.link ?? []);
  const known = new Set([...rows, ...context.db.read(allEndpoints).map(({ veth }) => veth)]);
  const isLeg = (name: string) => name.startsWith(`${vethPrefix}n`);
  const unknown = names.filter(
    (name) => [vethPrefix, bridgePrefix].some((prefix) => name.startsWith(prefix)) && !known.has(name) && !isLeg(name),
  );
  const isGone = (other: string) => other !== tag && !names.some((link) => link.includes(other));
  const tables = context.host.net.hookedChains().map((chain) => chain.table);
  const abandoned = tables.filter((name) => name.startsWith(tablePrefix)).map((name) => name.slice(tablePrefix.length));
  return [
    ...unknown.map((name) => `link ${name}`),
    ...[...new Set(abandoned)].filter(isGone).map((other) => `table ip ${tablePrefix}${other}`),
    ...tagsAtDockerd(context.host)
      .filter(isGone)
      .map((other) => `rules of ${tablePrefix}${other} in chain ${dockerdChain}`),
  ];
}
