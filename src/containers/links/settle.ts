import { EngineError, isKind } from "../../errors/mod.ts";
import type { EndpointConfig, HostConfig } from "../../wire/mod.ts";
import { networkModeOf } from "../modes.ts";
import { resolve } from "../refs.ts";
import type { ContainerTable, Row } from "../table.ts";
import { parseLink } from "./parse.ts";

/** What of a request to create a container is about links. */
export interface LinkWishes {
  readonly hostConfig: HostConfig;
  readonly endpoints: Readonly<Record<string, EndpointConfig>>;
}

/** Throws "invalid" in Docker's words for a malformed link, and for links where there is no network to have them in. */
export function checkLinks({ hostConfig, endpoints }: LinkWishes): void {
  for (const { Links } of Object.values(endpoints)) for (const link of Links ?? []) parseLink(link);
  const links = (hostConfig.Links ?? []).map(parseLink);
  const { kind } = networkModeOf(hostConfig.NetworkMode);
  if (links.length === 0 || kind === "network") return;
  throw undefinedBehaviour(kind === "container" ? "container type network" : `${kind} type networking`);
}

/**
 * Links of a new container on the default bridge, as its row keeps them: `ID:ALIAS`, so that they outlive a renaming. In a
 * user's network they are its endpoint's (see {@link withLinks}). Throws "invalid": clients take "not-found" of a
 * create for a missing image.
 */
export function settleLinks(table: ContainerTable, hostConfig: HostConfig): HostConfig["Links"] {
  const mode = networkModeOf(hostConfig.NetworkMode);
  if (mode.kind !== "network" || mode.name !== "bridge" || !hostConfig.Links?.length) return null;
  const found = new Map<string, string>();
  for (const { target, alias } of hostConfig.Links.map(parseLink)) {
    const { id } = linkTarget(table, target);
    if ((found.get(alias) ?? id) !== id) {
      throw new EngineError("invalid", `conflicting links: the alias ${alias} is given to two containers`);
    }
    found.set(alias, id);
  }
  return [...found].map(([alias, id]) => `${id}:${alias}`);
}

/** In a user's network `HostConfig.Links` says the same as the endpoint's own links, which win. */
export function withLinks(config: EndpointConfig, { Links }: HostConfig): EndpointConfig {
  return Links?.length && !config.Links?.length ? { ...config, Links } : config;
}

/** The container that owns the network of the one that is named. */
function linkTarget(table: ContainerTable, ref: string): Row {
  try {
    let row = resolve(table, ref);
    for (let mode = modeOf(row); mode.kind === "container"; mode = modeOf(row)) row = resolve(table, mode.ref);
    if (modeOf(row).kind === "host") throw undefinedBehaviour("host type networking");
    return row;
  } catch (err) {
    if (!isKind(err, "not-found")) throw err;
    throw new EngineError("invalid", `could not get container for ${ref}: No such container: ${ref}`);
  }
}

function modeOf({ hostConfig }: Row) {
  return networkModeOf(hostConfig.NetworkMode);
}

function undefinedBehaviour(what: string): EngineError {
  const text = `conflicting options: ${what} can't be used with links. This would result in undefined behavior`;
  return new EngineError("invalid", text);
}
