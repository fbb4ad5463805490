import type { Query } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { contains, formatAddress, lastAddress } from "./address.ts";
import { contains6, first6, formatAddress6, last6 } from "./address6.ts";
import { addressTaken, addressTaken6, type BridgeSettings, firstGap, type SixSettings } from "./table.ts";

/** Taken addresses that are passed over in a search. */
const most6 = 100_000n;

/**
 * Gives out addresses of a network: the first free one after the last given, round and round, so that one just freed
 * rests while what others remember of it (neighbour caches, connections) grows old. Starts at the lowest with the daemon.
 */
export class AddressPool {
  readonly #next = new Map<string, number>();

  /** A free address; throws "internal" when none is left. Call it in the transaction that stores it. */
  take(q: Query, networkId: string, bridge: BridgeSettings): number {
    const first = Math.max(bridge.range.base, bridge.subnet.base + 1);
    const next = this.#next.get(networkId) ?? first;
    const found = search(q, { networkId, bridge, from: next }) ?? search(q, { networkId, bridge, from: first });
    if (found === undefined)
      throw new EngineError("internal", "no available IPv4 addresses on this network's address pools");
    this.#next.set(networkId, found + 1);
    return found;
  }

  /** Checks an address that the user asked for. Throws "invalid" outside the subnet, "conflict" when it is taken. */
  claim(q: Query, networkId: string, request: { bridge: BridgeSettings; address: number }): number {
    const { bridge, address } = request;
    const text = formatAddress(address);
    const usable =
      contains(bridge.subnet, address) && address !== bridge.subnet.base && address !== lastAddress(bridge.subnet);
    if (!usable) throw new EngineError("invalid", `no configured subnet contains IP address ${text}`);
    if (isReserved(bridge, address) || addressTaken(q, networkId, address)) {
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
  from: { bridge: BridgeSettings; six: SixSettings; address: number },
): string {
  const { bridge, six, address } = from;
  const [first, last] = [first6(six.range), last6(six.range)];
  const place = BigInt(address - bridge.subnet.base);
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
  if (!contains6(six.subnet, address) || address === first6(six.subnet)) {
    throw new EngineError("invalid", `no configured subnet contains IP address ${text}`);
  }
  if (!isFree6(q, networkId, { six, candidate: text })) throw new EngineError("conflict", "Address already in use");
  return text;
}

function isFree6(q: Query, networkId: string, { six, candidate }: { six: SixSettings; candidate: string }): boolean {
  const reserved = candidate === six.gateway || candidate === six.subnet.base || six.reserved.includes(candidate);
  return !reserved && !addressTaken6(q, networkId, candidate);
}

function search(q: Query, at: { networkId: string; bridge: BridgeSettings; from: number }): number | undefined {
  const end = Math.min(lastAddress(at.bridge.range), lastAddress(at.bridge.subnet) - 1);
  let address = firstGap(q, at.networkId, at.from);
  while (address <= end && isReserved(at.bridge, address)) address = firstGap(q, at.networkId, address + 1);
  return address <= end ? address : undefined;
}

function isReserved(bridge: BridgeSettings, address: number): boolean {
  return address === bridge.gateway || bridge.reserved.includes(address);
}
