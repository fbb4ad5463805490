import { EngineError } from "../errors/mod.ts";
import type { NetworkConnectBody, NetworkDisconnectBody, NetworkInspect } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { refreshHosts, refreshLinkers } from "./links/hosts.ts";
import { parseLink } from "./links/parse.ts";
import { networkModeOf } from "./modes.ts";
import { endpointRequest, refreshResolvConf } from "./network.ts";
import { resolve } from "./refs.ts";
import type { Row } from "./table.ts";
import { isLive } from "./transition.ts";

/**
 * Makes a container a member of one more network: at once where it runs, with its next start otherwise. Throws "forbidden"
 * for one that is a member already or has no network of its own, "not-found".
 */
export async function connectNetworkTo(ctx: Context, network: string, body: NetworkConnectBody): Promise<void> {
  const { Name } = ctx.networks.get(network);
  await locked(ctx, body.Container, async (row) => {
    checkJoinable(row, Name);
    if (row.endpoints[Name]) {
      throw new EngineError("forbidden", `endpoint with name ${row.name} already exists in network ${Name}`);
    }
    const config = body.EndpointConfig;
    for (const link of config.Links ?? []) parseLink(link);
    if (!isLive(row.phase)) ctx.networks.check(Name, config);
    else {
      const dns = ctx.config.defaults?.dns;
      await ctx.networks.connect(Name, endpointRequest(row, config, { dns }));
    }
    try {
      ctx.table.update(row.id, { endpoints: { ...row.endpoints, [Name]: config } });
    } catch (err) {
      if (isLive(row.phase)) await ctx.networks.disconnect(Name, row.id);
      throw err;
    }
    await refreshNames(ctx, row);
  });
}

/** The reverse. `Force` also forgets a network that has been removed meanwhile. Throws "forbidden" for one that is no member. */
export async function disconnectNetworkFrom(ctx: Context, network: string, body: NetworkDisconnectBody): Promise<void> {
  await locked(ctx, body.Container, async (row) => {
    const Name = nameOf(ctx, network, { row, force: body.Force });
    if (!row.endpoints[Name]) {
      throw new EngineError("forbidden", `container ${row.id} is not connected to network ${Name}`);
    }
    const { [Name]: _, ...endpoints } = row.endpoints;
    ctx.table.update(row.id, { endpoints });
    if (isLive(row.phase) && isPlugged(ctx, row, Name)) await ctx.networks.disconnect(Name, row.id);
    await refreshNames(ctx, row);
  });
}

/** In its own files in /etc, and in the /etc/hosts of containers with a link to it. */
async function refreshNames(ctx: Context, before: Row): Promise<void> {
  if (!isLive(before.phase)) return;
  const after = ctx.table.get(before.id);
  if (after) await refreshResolvConf(ctx, { before, after });
  await refreshHosts(ctx, before.id);
  await refreshLinkers(ctx, before);
}

async function locked(ctx: Context, ref: string, body: (row: Row) => Promise<void>): Promise<void> {
  const { id } = resolve(ctx.table, ref);
  await ctx.locks.run(id, async () => {
    const row = resolve(ctx.table, id);
    if (row.phase === "removing" || row.phase === "dead") {
      throw new EngineError(
        "conflict",
        `container ${id} is marked for removal and cannot be connected or disconnected`,
      );
    }
    await body(row);
  });
}

function checkJoinable({ hostConfig }: Row, network: string): void {
  const { kind } = networkModeOf(hostConfig.NetworkMode);
  if (network === "host" || network === "none" || kind === "none") {
    const why = "container cannot be connected to multiple networks with one of the networks in private (none) mode";
    const host = "container cannot be disconnected from host network or connected to host network";
    throw new EngineError("forbidden", network === "host" ? host : why);
  }
  if (kind === "network") return;
  const text =
    "container sharing network namespace with another container or host cannot be connected to any other network";
  throw new EngineError("forbidden", text);
}

function nameOf(ctx: Context, network: string, { row, force }: { row: Row; force: boolean }): string {
  if (force && row.endpoints[network]) return network;
  const { Name }: NetworkInspect = ctx.networks.get(network);
  return Name;
}

function isPlugged(ctx: Context, row: Row, network: string): boolean {
  return ctx.networks.endpoints(row.id).some((endpoint) => endpoint.networkName === network);
}
