import { EngineError } from "../../errors/mod.ts";
import type { EndpointConfig } from "../../wire/mod.ts";
import type { Context } from "../context.ts";
import type { ContainerTable, Row } from "../table.ts";
import { isLive } from "../transition.ts";
import { parseLink } from "./parse.ts";

/** The network that `HostConfig.Links` is about. */
export const defaultNetwork = "bridge";

/** A link on the default bridge, to a container that may have been removed since. */
export interface StoredLink {
  readonly id: string;
  readonly alias: string;
}

export function linksOf({ hostConfig }: Pick<Row, "hostConfig">): readonly StoredLink[] {
  return (hostConfig.Links ?? []).map((link) => ({
    id: link.slice(0, link.indexOf(":")),
    alias: link.slice(link.indexOf(":") + 1),
  }));
}

/** As inspect shows them: `/TARGET:/OWNER/ALIAS`. One whose target is gone has its id for a name. */
export function shownLinks(table: ContainerTable, row: Row): string[] | null {
  const links = linksOf(row);
  if (links.length === 0) return null;
  return links.map(({ id, alias }) => `/${nameOf(table, id)}:/${row.name}/${alias}`);
}

/** The names that links of others give to containers, `/OWNER/ALIAS`, by the container's id. */
export function linkNames(table: ContainerTable): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const row of table.all()) {
    for (const { id, alias } of linksOf(row)) {
      found.set(id, [...(found.get(id) ?? []), `/${row.name}/${alias}`].toSorted());
    }
  }
  return found;
}

/** What a container's links say at this moment: those on the default bridge, while it is a member there. */
export interface Linked {
  readonly alias: string;
  readonly target: Row;
  readonly address: string;
}

/**
 * The targets of a container about to start. Throws "conflict" in Docker's words for one that does not run or is not on the
 * default bridge.
 */
export function requireLinked(ctx: Context, row: Row): Linked[] {
  if (!row.endpoints[defaultNetwork]) return [];
  return linksOf(row).map(({ id, alias }) => {
    const target = ctx.table.get(id);
    const shown = `/${nameOf(ctx.table, id)}`;
    if (target && !target.endpoints[defaultNetwork]) {
      throw new EngineError("conflict", `Cannot link to ${shown}, as it does not belong to the default network`);
    }
    const address = target && isLive(target.phase) ? addressIn(ctx, target, defaultNetwork) : undefined;
    if (target && address !== undefined) return { alias, target, address };
    throw new EngineError("conflict", `Cannot link to a non running container: ${shown} AS /${row.name}/${alias}`);
  });
}

/** The same of a container that runs, without those whose target does not. */
export function presentlyLinked(ctx: Context, row: Row): Linked[] {
  if (!row.endpoints[defaultNetwork]) return [];
  return linksOf(row).flatMap(({ id, alias }) => {
    const target = ctx.table.get(id);
    const address = target && addressIn(ctx, target, defaultNetwork);
    return target && address !== undefined ? [{ alias, target, address }] : [];
  });
}

/** Links of an endpoint are names in its network alone, for the resolver; what they lead to may come later, or go. */
export function resolverLinks({ Links }: EndpointConfig): Readonly<Record<string, string>> {
  const links = (Links ?? []).map(parseLink);
  // The resolver knows short ids.
  const known = (target: string) => (/^[0-9a-f]{12,64}$/.test(target) ? target.slice(0, 12) : target);
  return Object.fromEntries(links.map(({ target, alias }) => [alias.toLowerCase(), known(target)]));
}

/** The address that a container has in a network at this moment. */
export function addressIn(ctx: Pick<Context, "networks">, { id }: Row, network: string): string | undefined {
  return ctx.networks.endpoints(id).find((endpoint) => endpoint.networkName === network)?.address;
}

function nameOf(table: ContainerTable, id: string): string {
  return table.get(id)?.name ?? id.slice(0, 12);
}
