import type { Query } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { contains, formatAddress, lastAddress } from "./address.ts";
import { addressTaken, type BridgeSettings, firstGap } from "./table.ts";

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

function search(q: Query, at: { networkId: string; bridge: BridgeSettings; from: number }): number | undefined {
  const end = Math.min(lastAddress(at.bridge.range), lastAddress(at.bridge.subnet) - 1);
  let address = firstGap(q, at.networkId, at.from);
  while (address <= end && isReserved(at.bridge, address)) address = firstGap(q, at.networkId, address + 1);
  return address <= end ? address : undefined;
}

function isReserved(bridge: BridgeSettings, address: number): boolean {
  return address === bridge.gateway || bridge.reserved.includes(address);
}
