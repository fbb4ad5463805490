import { changeElements, type ElementChange } from "./elements.ts";
import { addDefaultRoute, createNamespace, removeNamespace } from "./namespace.ts";
import { type PortRequest, type Reservation, reservePort } from "./port.ts";
import { plugVeth, unplugVeth, type VethPlan } from "./veth.ts";

/**
 * The kernel's part of every container start: namespaces, veths, nft map elements and host ports, by netlink in this
 * process. Measured on a quiet two-core machine: a namespace 0.5 ms (2.9 ms by unshare(1)), a configured veth 1.2 ms
 * (two spawns of ip(8): 6 ms), an nft element 0.1 ms (nft(8): 3.2 ms). What is rare goes through ip(8) and nft(8).
 *
 * Calls are synchronous: netlink answers a request before send(2) returns. What would wait for the kernel (deleting a
 * link takes 15 to 50 ms) is not here.
 */
export interface Net {
  /** A new network namespace with loopback up and IPv6 off for interfaces to come, bound at `path`. Throws "conflict" when the path exists. */
  createNamespace(path: string): void;
  /** Unmounts and removes what {@link Net.createNamespace} made. No error when it is gone. The kernel takes down the namespace, with the veths in it, some 50 ms after its last process. */
  removeNamespace(path: string): void;
  /** A veth pair: one end is a port of the bridge, the other inside the namespace, with its address and route, both up. All or nothing. */
  plugVeth(plan: VethPlan): void;
  /** Takes the port off its bridge at once, without waiting for the pair to die. No error when there is none. */
  unplugVeth(name: string): void;
  addDefaultRoute(namespace: string, gateway: string): void;
  /** One transaction of an `ip` table: all changes or none. Throws "not-found" when the table, the set or an element to delete is missing. */
  changeElements(table: string, changes: readonly ElementChange[]): void;
  /** Throws {@link PortError}. */
  reservePort(request: PortRequest): Reservation;
}

export function createNet(): Net {
  return {
    createNamespace,
    removeNamespace,
    plugVeth,
    unplugVeth,
    addDefaultRoute,
    changeElements,
    reservePort,
  };
}
