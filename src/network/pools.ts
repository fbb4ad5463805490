import { EngineError } from "../errors/mod.ts";
import { overlap, parseSubnet, type Subnet } from "./address.ts";

/** As Docker's default-address-pools: `base` is cut into subnets of prefix length `size`. */
export interface Pool {
  readonly base: string;
  readonly size: number;
}

/** Docker's own pools (libnetwork/ipamutils). */
export const defaultPools: readonly Pool[] = [
  { base: "172.17.0.0/16", size: 16 },
  { base: "172.18.0.0/15", size: 16 },
  { base: "172.20.0.0/14", size: 16 },
  { base: "172.24.0.0/13", size: 16 },
  { base: "192.168.0.0/16", size: 20 },
];

/** The first subnet of the pools that overlaps nothing taken, after passing over `skip` free ones (all of them counted round). */
export function pickSubnet(pools: readonly Pool[], taken: readonly Subnet[], skip = 0): Subnet {
  const free = pools.flatMap(cut).filter((candidate) => !taken.some((other) => overlap(candidate, other)));
  const picked = free[skip % Math.max(1, free.length)];
  if (picked) return picked;
  throw new EngineError("internal", "all predefined address pools have been fully subnetted");
}

function cut(pool: Pool): Subnet[] {
  const base = parseSubnet(pool.base);
  const valid = base && Number.isInteger(pool.size) && pool.size >= base.prefixLength && pool.size <= 29;
  if (!valid) throw new EngineError("invalid", `invalid address pool ${pool.base} of size ${pool.size}`);
  const count = Math.min(2 ** (pool.size - base.prefixLength), 4096);
  return Array.from({ length: count }, (_, index) => ({
    base: base.base + index * 2 ** (32 - pool.size),
    prefixLength: pool.size,
  }));
}
