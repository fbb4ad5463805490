import { readFile, writeFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { isKind } from "../errors/mod.ts";
import { chosenPorts, type EndpointRequest } from "../network/mod.ts";
import { extraHostLines, hostsFile, resolvConfFile, stubbed } from "../rootfs/mod.ts";
import { type EndpointConfig, fullPort, type PortBinding, type PortMap } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { hostGateway, refreshHosts, refreshLinkers } from "./links/hosts.ts";
import { resolverLinks } from "./links/links.ts";
import { withLinks } from "./links/settle.ts";
import { joined, networkModeOf, wantedNetworks } from "./modes.ts";
import { pathsOf } from "./paths.ts";
import { namespacePath } from "./spec.ts";
import type { Row } from "./table.ts";
import { settleAll } from "./undo.ts";

/**
 * Makes the container's network namespace: "host", or the path of the one to join. What is there of it after a failure is
 * undone by `closeSandbox`. `owner` is the path of the container's user namespace, if it has one. Also makes the container's
 * files in /etc, since they are mounted before addresses are known.
 */
export async function openNetwork(ctx: Context, row: Row, owner?: string): Promise<string> {
  const mode = networkModeOf(row.hostConfig.NetworkMode);
  switch (mode.kind) {
    case "host":
      await writeEtc(ctx, row);
      return "host";
    case "container":
      return namespacePath(joined(ctx.table, mode.ref), "net");
    case "none":
    case "network":
      return (await settleAll([ctx.networks.openSandbox(row.id, owner), writeEtc(ctx, row)]))[0].path;
    default:
      return mode satisfies never;
  }
}

/** Connects the container to its networks; to be done before its process starts, but not before it is created. */
export async function connectNetwork(ctx: Context, row: Row): Promise<void> {
  if (networkModeOf(row.hostConfig.NetworkMode).kind !== "network" || row.config.NetworkDisabled) return;
  await connectAll(ctx, row);
  await refreshHosts(ctx, row.id);
  await refreshLinkers(ctx, row);
}

/** Whether the container has a namespace of its own that `closeSandbox` is to take down. */
export function ownsSandbox(row: Row): boolean {
  const { kind } = networkModeOf(row.hostConfig.NetworkMode);
  return kind === "network" || kind === "none";
}

/**
 * By the networks' own names. As with dockerd, the endpoints that are asked for are all that there are, and the network of
 * the mode counts only when there are none. Networks that do not exist (yet) are told by `start`.
 */
export function settleEndpoints(
  ctx: Pick<Context, "networks">,
  { hostConfig, endpoints }: Pick<Row, "hostConfig" | "endpoints">,
): Row["endpoints"] {
  const mode = networkModeOf(hostConfig.NetworkMode);
  if (mode.kind !== "network") return {};
  const asked = Object.entries(endpoints).map(
    ([name, config]) => [name === "default" ? mode.name : name, config] as const,
  );
  const settled = asked.length > 0 ? asked : [[mode.name, {}] as const];
  const own = mode.name === "bridge" ? undefined : mode.name; // there links are of another kind
  return Object.fromEntries(
    settled.map(([word, config]) => {
      const name = networkName(ctx, word);
      return [name, name === own ? withLinks(config, hostConfig) : config];
    }),
  );
}

/** The name of the network that an id or its beginning means; the word itself when there is none. */
export function networkName({ networks }: Pick<Context, "networks">, idOrName: string): string {
  try {
    return networks.get(idOrName).Name;
  } catch (err) {
    if (isKind(err, "not-found")) return idOrName;
    throw err;
  }
}

export interface LegOptions {
  /** It is the one that leads out: ports are published there. */
  readonly first?: boolean;
  /** The daemon's own resolvers, for a container that names none. */
  readonly dns?: readonly string[] | undefined;
}

/** One leg. */
export function endpointRequest(
  row: Row,
  config: EndpointConfig,
  { first = false, dns = [] }: LegOptions,
): EndpointRequest {
  const macAddress = config.MacAddress || (first ? row.config.MacAddress : undefined);
  return {
    holder: row.id,
    name: row.name,
    dnsNames: [row.id.slice(0, 12), row.config.Hostname],
    links: resolverLinks(config),
    upstreams: filled(row.hostConfig.Dns) ?? dns,
    config,
    ...(macAddress && { macAddress }),
    ...(first && { ports: wantedPorts(row), portsBefore: row.chosenPorts }),
  };
}

/** What is to be published: the bindings, and with `-P` every exposed port that has none. */
export function wantedPorts({ config, hostConfig }: Pick<Row, "config" | "hostConfig">): PortMap {
  const ports: Record<string, readonly PortBinding[]> = {};
  for (const [port, bindings] of Object.entries(hostConfig.PortBindings)) {
    if (bindings && bindings.length > 0) ports[fullPort(port)] = bindings;
  }
  if (!hostConfig.PublishAllPorts) return ports;
  for (const port of Object.keys(config.ExposedPorts ?? {})) ports[fullPort(port)] ??= [{ HostIp: "", HostPort: "" }];
  return ports;
}

/** What the host's firewall will do to its ports, which are published on the first of its networks. */
export async function firewallWarnings(ctx: Context, row: Row, ports = wantedPorts(row)): Promise<string[]> {
  const [first] = wantedNetworks(row).keys();
  return first === undefined ? [] : ctx.networks.portWarnings(first, ports);
}

async function connectAll(ctx: Context, row: Row): Promise<void> {
  const wanted = wantedNetworks(row);
  const publishing = publishingNetwork(wanted);
  for (const [network, config] of wanted) {
    const first = network === publishing;
    const request = endpointRequest(row, config, { first, dns: ctx.config.defaults?.dns });
    const { ports } = await ctx.networks.connect(network, request);
    if (first) rememberPorts(ctx, row, ports);
  }
}

/** The one that leads out of the container: of the highest priority, or the first. */
function publishingNetwork(wanted: ReadonlyMap<string, EndpointConfig>): string | undefined {
  const priority = (config: EndpointConfig) => config.GwPriority ?? 0;
  return [...wanted].toSorted(([, a], [, b]) => priority(b) - priority(a))[0]?.[0];
}

function rememberPorts(ctx: Context, row: Row, made: PortMap): void {
  const chosen = chosenPorts(wantedPorts(row), made);
  if (!isDeepStrictEqual(chosen, row.chosenPorts)) ctx.table.update(row.id, { chosenPorts: chosen });
}

/** What is to be in its /etc/resolv.conf: the resolver of the first of its networks that has one, or the host's. */
async function resolvConfText(ctx: Context, row: Row): Promise<string> {
  const { hostConfig } = row;
  const { defaults } = ctx.config;
  const resolver = [...wantedNetworks(row).keys()].map((name) => ctx.networks.resolver(name)).find(Boolean);
  return resolvConfFile({
    host: await textOf(ctx.config.resolvConf ?? "/etc/resolv.conf"),
    behind: await textOf(stubbed),
    ...(resolver !== undefined && { resolver }),
    dns: filled(hostConfig.Dns) ?? defaults?.dns ?? [],
    search: filled(hostConfig.DnsSearch) ?? defaults?.dnsSearch ?? [],
    options: filled(hostConfig.DnsOptions) ?? defaults?.dnsOptions ?? [],
    hostNetwork: hostConfig.NetworkMode === "host",
  });
}

/** After its networks have changed from those of `before`; a file that the container has written itself stays as it is. */
export async function refreshResolvConf(ctx: Context, { before, after }: { before: Row; after: Row }): Promise<void> {
  const [old, fresh] = await Promise.all([resolvConfText(ctx, before), resolvConfText(ctx, after)]);
  const path = pathsOf(ctx.config, after.id).resolvConf;
  if (fresh !== old && (await textOf(path)) === old) await writeFile(path, fresh);
}

/** As moby's `buildSandboxOptions` does; a file that is there is written in place, since it may be mounted. */
async function writeEtc(ctx: Context, row: Row): Promise<void> {
  const paths = pathsOf(ctx.config, row.id);
  const resolvConf = await resolvConfText(ctx, row);
  await settleAll([
    writeFile(paths.hosts, await hostsText(ctx, row), { mode: 0o644 }),
    writeFile(paths.resolvConf, resolvConf, { mode: 0o644 }),
    writeFile(paths.dockerenv, "", { mode: 0o755 }),
    writeFile(paths.hostname, `${row.config.Hostname}\n`, { mode: 0o644 }),
  ]);
}

function filled<T>(list: readonly T[] | null): readonly T[] | undefined {
  return list !== null && list.length > 0 ? list : undefined;
}

/** Without addresses, which come with the connections. The host network's container gets the host's own names, too. */
async function hostsText(ctx: Context, row: Row): Promise<string> {
  const { config, hostConfig } = row;
  const extra = { extraHosts: hostConfig.ExtraHosts ?? [], hostGateway: () => hostGateway(ctx, row) };
  if (hostConfig.NetworkMode === "host") {
    const lines = extraHostLines(extra).map((line) => `${line}\n`);
    return `${(await textOf("/etc/hosts")).trimEnd()}\n${lines.join("")}`;
  }
  return hostsFile({ hostname: config.Hostname, domainname: config.Domainname, addresses: [], ...extra });
}

async function textOf(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
