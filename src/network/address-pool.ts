import type { Query } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { contains, firstHost, formatAddress, lastAddress, lastHost } from "./address.ts";
import { contains6, first6, firstHost6, formatAddress6, last6 } from "./address6.ts";
import { addressTaken, addressTaken6, firstGap, type LegSettings, type SixSettings } from "./table.ts";

/** Taken addresses that are passed over in a search. */
const most6 = 100_000n;

/**
 * Gives out addresses of a network: the first free one after the last given, round and round, so that one just freed
 * rests while what others remember of it (neighbour caches, connections) grows old. Starts at the lowest with the daemon.
 */
export class AddressPool {
  readonly #next = new Map<string, number>();

  /** A free address; throws "internal" when none is left. Call it in the transaction that stores it. */
  take(q: Query, networkId: string, legs: LegSettings): number {
    const first = Math.max(legs.range.base, firstHost(legs.subnet));
    const next = this.#next.get(networkId) ?? first;
    const found = search(q, { networkId, legs, from: next }) ?? search(q, { networkId, legs, from: first });
    if (found === undefined)
      throw new EngineError("internal", "no available IPv4 addresses on this network's address pools");
    this.#next.set(networkId, found + 1);
    return found;
  }

  /** Checks an address that the user asked for. Throws "invalid" outside the subnet, "conflict" when it is taken. */
  claim(q: Query, networkId: string, request: { legs: LegSettings; address: number }): number {
    const { legs, address } = request;
    const text = formatAddress(address);
    if (!contains(legs.subnet, address)) throw new EngineError("invalid", outside(text));
    const nobodys = address < firstHost(legs.subnet) || address > lastHost(legs.subnet);
    if (nobodys || isReserved(legs, address) || addressTaken(q, networkId, address)) {
      throw new EngineError("conflict", "Address already in use");
    }
    return address;
  }
}

/**
 * The address of the other kind that goes with an IPv4 one: at the same place in its range, so that it rests as long after
 * its holder has gone, or the next free one. Throws "internal" when none is left.
 */
export function takeSix(
  q: Query,
  networkId: string,
  from: { legs: LegSettings; six: SixSettings; address: number },
): string {
  const { legs, six, address } = from;
  const [first, last] = [first6(six.range), last6(six.range)];
  const place = BigInt(address - legs.subnet.base);
  const size = last - first + 1n;
  for (let step = 0n; step < size && step < most6; step++) {
    const candidate = formatAddress6(first + ((place + step) % size));
    if (isFree6(q, networkId, { six, candidate })) return candidate;
  }
  throw new EngineError("internal", "no available IPv6 addresses on this network's address pools");
}

/** Checks an address that the user asked for, and returns it in canonical form. Throws as for IPv4. */
export function claimSix(q: Query, networkId: string, { six, address }: { six: SixSettings; address: bigint }): string {
  const text = formatAddress6(address);
  if (!contains6(six.subnet, address)) throw new EngineError("invalid", outside(text));
  if (!isFree6(q, networkId, { six, candidate: text })) throw new EngineError("conflict", "Address already in use");
  return text;
}

function isFree6(q: Query, networkId: string, { six, candidate }: { six: SixSettings; candidate: string }): boolean {
  const nobodys = candidate === six.subnet.base && firstHost6(six.subnet) !== first6(six.subnet);
  const reserved = nobodys || candidate === six.gateway || six.reserved.includes(candidate);
  return !reserved && !addressTaken6(q, networkId, candidate);
}

/** In Docker's words. */
function outside(address: string): string {
  return `invalid endpoint settings:\nno configured subnet contains IP address ${address}`;
}

function search(q: Query, at: { networkId: string; legs: LegSettings; from: number }): number | undefined {
  const end = Math.min(lastAddress(at.legs.range), lastHost(at.legs.subnet));
  let address = firstGap(q, at.networkId, at.from);
  while (address <= end && isReserved(at.legs, address)) address = firstGap(q, at.networkId, address + 1);
  return address <= end ? address : undefined;
}

function isReserved(legs: LegSettings, address: number): boolean {
  return address === legs.gateway || legs.reserved.includes(address);
}
