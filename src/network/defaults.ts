import { randomBytes } from "node:crypto";
import { EngineError } from "../errors/mod.ts";
import { contains, lastAddress, parseAddress, parseSubnet } from "./address.ts";
import { chooseDefaultPool } from "./choose.ts";
import type { Context, NetworkConfig } from "./context.ts";
import { bridgeOptions, defaultOption } from "./drivers/bridge-options.ts";
import { commonOptions } from "./drivers/option.ts";
import { ipamOf } from "./ipam.ts";
import { Obstacles } from "./obstacles.ts";
import { checkPools } from "./pools.ts";
import { type BridgeSettings, type NetworkRow, networkByName, networkInUse, putNetwork } from "./table.ts";
import { deleteLinks, links } from "./tools.ts";

/** Throws "invalid" for a tag, bridge name or subnet that cannot be. */
export function checkConfig(config: NetworkConfig): void {
  if (!/^[a-z0-9]{1,6}$/.test(config.tag)) throw new EngineError("invalid", `invalid network tag: "${config.tag}"`);
  if (!/^[a-zA-Z0-9][\w.-]{0,14}$/.test(config.bridge)) {
    throw new EngineError("invalid", `invalid bridge name: "${config.bridge}"`);
  }
  if (config.subnet !== undefined) fixedPool(config.subnet);
  checkPools(config.pools ?? []);
}

/** The rows of `bridge`, `host` and `none`; the first follows the configuration while nobody is connected. */
export async function settleDefaults(context: Context): Promise<void> {
  for (const [name, driver] of [
    ["host", "host"],
    ["none", "null"],
  ] as const) {
    if (!context.db.read((q) => networkByName(q, name)))
      context.db.write((tx) => putNetwork(tx, predefined(name, driver)));
  }
  const row = context.db.read((q) => networkByName(q, "bridge"));
  if (row?.bridge && (await isSettled(context, row, row.bridge))) return;
  if (!row) await clearWay(context);
  placeDefault(context, 0);
}

/**
 * Gives the default network its subnet. Of several daemons that start at the same moment, all may see the same one free;
 * whoever finds that out afterwards asks again, passing over `skip` free subnets.
 */
export function placeDefault(context: Context, skip: number): NetworkRow {
  const { config } = context;
  const old = context.db.read((q) => networkByName(q, "bridge"));
  const pool = config.subnet === undefined ? chooseDefaultPool(context, skip) : fixedPool(config.subnet);
  const bridge = { link: config.bridge, ...pool, masquerade: true, icc: true, hostAddress: "0.0.0.0" };
  const row = { ...predefined("bridge", "bridge"), ...(old ? { id: old.id, created: old.created } : {}) };
  const placed = { ...row, bridge, ipam: ipamOf(undefined, bridge), options: defaultOptions(config) };
  context.db.write((tx) => putNetwork(tx, placed));
  return placed;
}

async function isSettled(context: Context, row: NetworkRow, bridge: BridgeSettings): Promise<boolean> {
  if (context.db.read((q) => networkInUse(q, row.id))) return true;
  const { config } = context;
  if (bridge.link !== config.bridge) await deleteLinks(context, [bridge.link]);
  const same = config.subnet === undefined ? bridge.automatic : sameSubnet(bridge, fixedPool(config.subnet));
  const settled = same && bridge.link === config.bridge && !routeElsewhere(context, bridge);
  if (!settled) await deleteLinks(context, [config.bridge]);
  return settled;
}

/** True when the host reaches a part of the subnet through another link. */
export function routeElsewhere(context: Context, { link, subnet }: Pick<BridgeSettings, "link" | "subnet">): boolean {
  return new Obstacles(context, link).route(subnet) !== undefined;
}

function sameSubnet(a: BridgeSettings, b: Pick<BridgeSettings, "subnet" | "gateway">): boolean {
  return a.gateway === b.gateway && a.subnet.prefixLength === b.subnet.prefixLength && !a.automatic;
}

/** A bridge of our name that no row knows is a leftover, unless somebody is plugged into it. */
async function clearWay(context: Context): Promise<void> {
  const { bridge } = context.config;
  const all = await links(context);
  if (all.some((link) => link.master === bridge)) {
    throw new EngineError(
      "unavailable",
      `network bridge ${bridge} exists and is in use by others: choose another name`,
    );
  }
  if (all.some((link) => link.name === bridge)) await deleteLinks(context, [bridge]);
}

function fixedPool(text: string): Pick<BridgeSettings, "subnet" | "range" | "gateway" | "reserved" | "automatic"> {
  const subnet = parseSubnet(text);
  const gateway = parseAddress(text.split("/")[0] ?? "");
  if (!subnet || gateway === undefined || subnet.prefixLength > 30 || !contains(subnet, gateway)) {
    throw new EngineError("invalid", `invalid subnet of the default bridge: "${text}"`);
  }
  const host = gateway === subnet.base || gateway === lastAddress(subnet) ? subnet.base + 1 : gateway;
  return { subnet, range: subnet, gateway: host, reserved: [], automatic: false };
}

function predefined(name: string, driver: NetworkRow["driver"]): NetworkRow {
  return {
    id: randomBytes(32).toString("hex"),
    name,
    driver,
    created: new Date().toISOString(),
    ipam: { Driver: "default", Options: null, Config: [] },
    internal: false,
    attachable: false,
    options: {},
    labels: {},
  };
}

/** As Docker's default network shows them. */
function defaultOptions(config: NetworkConfig): Record<string, string> {
  return {
    [defaultOption]: "true",
    [bridgeOptions.icc]: "true",
    [bridgeOptions.masquerade]: "true",
    [bridgeOptions.hostAddress]: "0.0.0.0",
    [bridgeOptions.name]: config.bridge,
    [commonOptions.mtu]: "1500",
  };
}
