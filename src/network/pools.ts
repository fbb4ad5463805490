import { EngineError } from "../errors/mod.ts";
import { parseSubnet, type Subnet } from "./address.ts";

/** As Docker's default-address-pools: `base` is cut into subnets of prefix length `size`. */
export interface Pool {
  readonly base: string;
  readonly size: number;
}

/** For the default network, which holds more than others do: Docker's own pools (libnetwork/ipamutils). */
export const bridgePools: readonly Pool[] = [
  { base: "172.17.0.0/16", size: 16 },
  { base: "172.18.0.0/15", size: 16 },
  { base: "172.20.0.0/14", size: 16 },
  { base: "172.24.0.0/13", size: 16 },
  { base: "192.168.0.0/16", size: 20 },
];

/**
 * For users' networks. Docker cuts the same space into 31 subnets, which is how many networks it can have; 253 containers
 * are enough for one, and who wants more names a subnet. 10.0.0.0/8 comes last, since it is what companies use.
 */
export const defaultPools: readonly Pool[] = [
  { base: "172.18.0.0/15", size: 24 },
  { base: "172.20.0.0/14", size: 24 },
  { base: "172.24.0.0/13", size: 24 },
  { base: "192.168.0.0/16", size: 24 },
  { base: "10.0.0.0/8", size: 24 },
];

/** Throws "invalid" for what cannot be cut. */
export function checkPools(pools: readonly Pool[]): void {
  for (const pool of pools) {
    const base = parseSubnet(pool.base);
    const valid = base && Number.isInteger(pool.size) && pool.size >= base.prefixLength && pool.size <= 29;
    if (!valid) throw new EngineError("invalid", `invalid address pool ${pool.base} of size ${pool.size}`);
  }
}

/** Gives the subnets of pools in turn, round and round: one just freed rests, and a search seldom passes over many. */
export class Subnets {
  readonly #pools: readonly { readonly base: number; readonly prefixLength: number; readonly count: number }[];
  readonly #count: number;
  #next = 0;

  constructor(pools: readonly Pool[]) {
    checkPools(pools);
    this.#pools = pools.map(({ base, size }) => {
      const whole = parseSubnet(base) ?? { base: 0, prefixLength: size };
      return { base: whole.base, prefixLength: size, count: 2 ** (size - whole.prefixLength) };
    });
    this.#count = this.#pools.reduce((sum, { count }) => sum + count, 0);
  }

  /**
   * The next free one, after passing over `skip` of them (all counted round). `takenTo` says where what is in a subnet's way
   * ends; undefined when it is free. Throws "internal" when none is.
   */
  take(takenTo: (subnet: Subnet) => number | undefined, skip = 0): Subnet {
    const free: number[] = [];
    for (let passed = 0; passed < this.#count && free.length <= skip; ) {
      const index = (this.#next + passed) % this.#count;
      const { subnet, left } = this.#at(index);
      const end = takenTo(subnet);
      if (end === undefined) free.push(index);
      const covered = end === undefined ? 1 : Math.floor((end - subnet.base) / 2 ** (32 - subnet.prefixLength)) + 1;
      passed += Math.min(left, Math.max(1, covered));
    }
    const chosen = free[skip % Math.max(1, free.length)];
    if (chosen === undefined)
      throw new EngineError("internal", "all predefined address pools have been fully subnetted");
    this.#next = (chosen + 1) % this.#count;
    return this.#at(chosen).subnet;
  }

  /** `left`: how many there are in its pool from this one on. */
  #at(index: number): { readonly subnet: Subnet; readonly left: number } {
    let rest = index;
    for (const { base, prefixLength, count } of this.#pools) {
      const subnet = { base: base + rest * 2 ** (32 - prefixLength), prefixLength };
      if (rest < count) return { subnet, left: count - rest };
      rest -= count;
    }
    throw new RangeError(`no subnet ${index}`);
  }
}
