import type { KeyedLock } from "../async/mod.ts";
import type { Db } from "../db/mod.ts";
import type { Events } from "../events/mod.ts";
import type { Net, Processes } from "../host/mod.ts";
import type { Log } from "../log/mod.ts";
import type { AddressPool } from "./address-pool.ts";
import type { Names } from "./dns/names.ts";
import type { HostPorts } from "./host-ports.ts";
import type { Nat } from "./nat.ts";
import type { Pool, Subnets } from "./pools.ts";
import type { Spare } from "./spare.ts";

export interface NetworkConfig {
  /** One to six of a-z and 0-9, a daemon's own: every name in the kernel carries it, so that two daemons never touch. */
  readonly tag: string;
  /** Name of the default bridge, at most 15 bytes. */
  readonly bridge: string;
  /** Gateway and prefix length of the default bridge, such as "10.1.2.1/24"; without it the first subnet of `pools` that is free. */
  readonly subnet?: string;
  /** Namespaces are bound at EXECROOT/netns/HOLDER. */
  readonly execRoot: string;
  /** Where automatic subnets come from, also the default network's. */
  readonly pools?: readonly Pool[];
  /** Where the host's resolvers are named. Default /etc/resolv.conf. */
  readonly resolvConf?: string;
}

export interface NetworkHost {
  readonly processes: Pick<Processes, "run">;
  readonly net: Net;
}

/** What every operation of this module works with. */
export interface Context {
  readonly db: Db;
  readonly host: NetworkHost;
  readonly events: Events;
  readonly log: Log;
  readonly config: NetworkConfig;
  readonly addresses: AddressPool;
  /** Of users' networks that name none. */
  readonly subnets: Subnets;
  readonly hostPorts: HostPorts;
  readonly nat: Nat;
  readonly spare: Spare;
  readonly names: Names;
  /** "holder:ID", "network:ID", then "nft", taken in this order. */
  readonly locks: KeyedLock;
}

/** How the nft tables of every Berth begin. */
export const tablePrefix = "berth_";

/** The kernel's names of this daemon. A link's name has at most 15 bytes. */
export function kernelNames(tag: string) {
  const vethPrefix = `ve${tag}-`;
  const bridgePrefix = `br${tag}-`;
  const parentPrefix = `dm${tag}-`;
  return {
    table: `${tablePrefix}${tag}`,
    vethPrefix,
    bridgePrefix,
    veth: (id: string) => (vethPrefix + id).slice(0, 15),
    bridge: (id: string) => (bridgePrefix + id).slice(0, 15),
    parent: (id: string) => (parentPrefix + id).slice(0, 15),
  };
}

export function netnsDirectory(config: NetworkConfig): string {
  return `${config.execRoot}/netns`;
}

export function netnsPath(config: NetworkConfig, holder: string): string {
  return `${netnsDirectory(config)}/${holder}`;
}
