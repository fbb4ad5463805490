import { randomBytes } from "node:crypto";
import { EngineError } from "../errors/mod.ts";
import { formatSubnet, type Subnet } from "./address.ts";
import { formatAddress6, formatSubnet6 } from "./address6.ts";
import type { Context } from "./context.ts";
import type { AddressChoices } from "./ipam.ts";
import { type Obstacle, Obstacles } from "./obstacles.ts";
import { bridgePools, Subnets } from "./pools.ts";
import type { LegSettings, SixSettings } from "./settings.ts";

type Placed = Pick<LegSettings, "subnet" | "range" | "gateway" | "reserved" | "automatic">;

/** Subnet, range and gateway of a user's network who chose none: free on this host and in our rows. */
export function choosePool(context: Context, gateway: boolean): Placed {
  const obstacles = new Obstacles(context);
  const subnet = context.subnets.take((candidate) => obstacles.four(candidate)?.last);
  return placedIn(subnet, gateway);
}

/** The same for the default network, after passing over `skip` free ones. */
export function chooseDefaultPool(context: Context, skip: number): Placed {
  const obstacles = new Obstacles(context);
  const pools = new Subnets(context.config.pools ?? bridgePools);
  return placedIn(
    pools.take((candidate) => obstacles.four(candidate)?.last, skip),
    true,
  );
}

/** A random unique local /64 (RFC 4193, 3.2) that is free on this host and in our rows. */
export function chooseSix(context: Context, gateway: boolean): SixSettings {
  const obstacles = new Obstacles(context);
  for (;;) {
    const prefix = (0xfdn << 120n) | (BigInt(`0x${randomBytes(7).toString("hex")}`) << 64n);
    const subnet = { base: formatAddress6(prefix), prefixLength: 64 };
    if (obstacles.six(subnet)) continue;
    return { subnet, range: subnet, reserved: [], ...(gateway && { gateway: formatAddress6(prefix + 1n) }) };
  }
}

/**
 * Throws "forbidden" with Docker's words and what is in the way. `except`: a link whose routes are the network's own;
 * `routes`: false where the network lies in what its parent has routes to.
 */
export function checkFree(
  context: Context,
  { pool, six }: AddressChoices,
  { except, routes }: { readonly except?: string; readonly routes: boolean },
): void {
  const obstacles = new Obstacles(context, except);
  const four = pool && (routes ? obstacles.four(pool.subnet) : obstacles.network(pool.subnet));
  if (pool && four) throw overlapping(formatSubnet(pool.subnet), four);
  const other = six && (routes ? obstacles.six(six.subnet) : obstacles.network(six.subnet));
  if (six && other) throw overlapping(formatSubnet6(six.subnet), other);
}

function placedIn(subnet: Subnet, gateway: boolean): Placed {
  return { subnet, range: subnet, reserved: [], automatic: true, ...(gateway && { gateway: subnet.base + 1 }) };
}

function overlapping(subnet: string, { what }: Obstacle): EngineError {
  const words = "invalid pool request: Pool overlaps with other one on this address space";
  return new EngineError("forbidden", `${words}: ${what}, and ${subnet} was asked for`);
}
