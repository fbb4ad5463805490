import { after } from "../../async/mod.ts";
import { EngineError, isKind } from "../../errors/mod.ts";
import type { Net, Processes, Workers } from "../../host/mod.ts";
import type { Log } from "../../log/mod.ts";
import { formatAddress, formatSubnet, macOf } from "../address.ts";
import { isPredefined } from "../inspect.ts";
import { type BridgeSettings, type EndpointRow, legsOf, type NetworkRow } from "../table.ts";
import { type NameServer, startServer } from "./server.ts";
import type { Member } from "./zone.ts";

/** Where containers ask, by way of the 127.0.0.11 of their own namespace: the same link-local address on every network. */
const serverAddress = "169.254.127.11";
/** The same on every network and with every start, so that nobody remembers a wrong one. */
const serverMac = "02:42:a9:fe:7f:0b";
/** Milliseconds between the end of a resolver and the next one's start: one that cannot live must not keep the machine busy. */
const pause = 1000;
export const resolverAddress = "127.0.0.11";

type Bridged = NetworkRow & { readonly bridge: BridgeSettings };

/** Whether names resolve in it: as with Docker, not in the default network. */
export function resolvesNames(network: NetworkRow): boolean {
  return legsOf(network) !== undefined && !isPredefined(network.name);
}

export interface NamesOptions {
  readonly net: Net;
  readonly processes: Pick<Processes, "run">;
  /** The resolver keeps one of its threads for as long as it is there. */
  readonly threads: Workers;
  /** Of the resolver's own namespace; a name that no holder can have. */
  readonly namespace: string;
  readonly namespaceOf: (holder: string) => string;
  /** Fifteen bytes at most with four digits behind it. */
  readonly linkPrefix: string;
  readonly resolvConf: string;
  readonly log: Log;
}

/**
 * The resolver of this daemon's networks. It lives in a network namespace of its own with a leg in every network, so that
 * a question never enters the host's network, and no firewall of the host's stands in its way. Containers send theirs to
 * 127.0.0.11, which rules in their own namespaces lead to that leg: nothing of ours listens there, and the port stays free.
 *
 * It is made with the first container that needs it. What an earlier daemon left of it is swept with what no row knows.
 */
export class Names {
  readonly #options: NamesOptions;
  readonly #legs = new Map<string, Promise<string>>();
  readonly #members = new Map<string, { readonly network: NetworkRow; readonly member: Member }>();
  /** By endpoint. */
  readonly #ties = new Map<string, { readonly row: EndpointRow; readonly link: string }>();
  #started: Promise<NameServer> | undefined;
  #count = 0;
  #closed = false;
  readonly #complain = (error: unknown) => this.#options.log.error("Containers' names do not resolve", { error });

  constructor(options: NamesOptions) {
    this.#options = options;
  }

  /** The container's names resolve in this network once this has resolved. */
  async join(network: NetworkRow, row: EndpointRow): Promise<void> {
    const member = memberOf(network, row);
    this.#members.set(row.id, { network, member });
    const server = await this.#running();
    if (isBridged(network)) await this.#leg(network);
    await server.tell({ kind: "add", member });
  }

  /** Leads a container to the resolver that has no bridge in common with it: by a link of the two alone. */
  async tie(row: EndpointRow): Promise<void> {
    await this.#running();
    const number = this.#count++;
    const link = `names${number}`;
    this.#ties.set(row.id, { row, link });
    const address = formatAddress(row.address);
    await this.#options.net.plugPair([
      {
        namespace: this.#options.namespaceOf(row.holder),
        ...{ inside: link, macAddress: macOf(row.address) },
        routes: resolverRoutes(address),
      },
      {
        namespace: this.#options.namespace,
        ...{ inside: `tie${number}`, macAddress: serverMac, address: serverAddress },
        routes: [{ to: address, source: serverAddress }],
      },
    ]);
  }

  /** No error for an endpoint that is not tied; its container's namespace must be there. */
  async untie(endpointId: string): Promise<void> {
    const tie = this.dropTie(endpointId);
    if (!tie) return;
    await this.#options.net.unplugInside({ namespace: this.#options.namespaceOf(tie.row.holder), inside: tie.link });
  }

  /** The container's namespace has gone, and its link with it. */
  dropTie(endpointId: string): { readonly row: EndpointRow; readonly link: string } | undefined {
    const tie = this.#ties.get(endpointId);
    this.#ties.delete(endpointId);
    return tie;
  }

  leave(endpointId: string): void {
    if (!this.#members.delete(endpointId)) return;
    this.#started?.then((server) => server.tell({ kind: "remove", endpointId })).catch(() => undefined);
  }

  /** Takes the leg out of a network that is about to go. */
  async forget(networkId: string): Promise<void> {
    const leg = this.#legs.get(networkId);
    this.#legs.delete(networkId);
    const name = await leg?.catch(() => undefined);
    if (name !== undefined) this.#options.net.unplugVeth(name);
  }

  /** Sends what a container asks at 127.0.0.11 to the resolver; the route to it comes with the container's veth. */
  async redirect(namespace: string): Promise<void> {
    const { code, stderr } = await this.#options.processes.run(["nsenter", `--net=${namespace}`, "nft", "-f", "-"], {
      stdin: redirection,
    });
    if (code !== 0) throw new EngineError("internal", `Lead ${resolverAddress} to the resolver: ${stderr.trim()}`);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const server = await this.#started?.catch(() => undefined);
    this.#started = undefined;
    this.#members.clear();
    this.#legs.clear();
    this.#ties.clear();
    if (!server) return;
    await server.close();
    this.#options.net.removeNamespace(this.#options.namespace);
  }

  #running(): Promise<NameServer> {
    this.#started ??= this.#start().catch((err) => {
      this.#started = undefined; // the next container tries again
      throw err;
    });
    return this.#started;
  }

  async #start(): Promise<NameServer> {
    const { net, namespace, threads, resolvConf, processes } = this.#options;
    await net.createNamespace(namespace);
    try {
      const { code, stderr } = await processes.run(["nsenter", `--net=${namespace}`, "sh", "-ec", ownSettings]);
      if (code !== 0) throw new EngineError("internal", `Set up the resolver's namespace: ${stderr.trim()}`);
      const server = await startServer(threads, { namespace, channel: `names ${namespace}`, resolvConf });
      server.died.catch((error: unknown) => {
        if (!this.#closed && !isKind(error, "unavailable")) this.#revive(error).catch(this.#complain);
      });
      return server;
    } catch (err) {
      net.removeNamespace(namespace);
      throw err;
    }
  }

  /** Names are more than one container's: a resolver that has died comes back, with all that the last one knew. */
  async #revive(error: unknown): Promise<void> {
    this.#options.log.error("The resolver for containers' names died, and is started again", { error });
    this.#started = undefined;
    for (const leg of await Promise.allSettled(this.#legs.values()))
      if (leg.status === "fulfilled") this.#options.net.unplugVeth(leg.value);
    this.#legs.clear();
    this.#options.net.removeNamespace(this.#options.namespace);
    await after(pause);
    if (this.#closed) return;
    const server = await this.#running();
    for (const { network, member } of [...this.#members.values()]) {
      if (isBridged(network)) await this.#leg(network);
      await server.tell({ kind: "add", member });
    }
    for (const { row } of [...this.#ties.values()]) await this.tie(row);
  }

  #leg(network: Bridged): Promise<string> {
    const made = this.#legs.get(network.id) ?? this.#plug(network);
    this.#legs.set(network.id, made);
    made.catch(() => this.#legs.delete(network.id));
    return made;
  }

  async #plug({ bridge }: Bridged): Promise<string> {
    const number = this.#count++;
    const name = `${this.#options.linkPrefix}${number.toString(36).padStart(4, "0")}`;
    await this.#options.net.plugVeth({
      name,
      bridge: bridge.link,
      namespace: this.#options.namespace,
      inside: `net${number}`,
      macAddress: serverMac,
      address: serverAddress,
      prefixLength: 32,
      routes: [{ to: formatSubnet(bridge.subnet), source: serverAddress }],
      ...(bridge.mtu === undefined ? {} : { mtu: bridge.mtu }),
    });
    return name;
  }
}

/** What a container's veth needs for {@link Names.redirect} to work: questions leave with the container's own address. */
export function resolverRoutes(address: string) {
  return [{ to: serverAddress }, { to: resolverAddress, local: true, source: address }];
}

/** It leads from nowhere to nowhere, and believes no sender whom it would not reach by the same link: who asks is told by that address. */
const ownSettings = ["ip_forward 0", "conf/all/rp_filter 1", "conf/default/rp_filter 1"]
  .map((setting) => setting.split(" "))
  .map(([name, value]) => `echo ${value} >/proc/sys/net/ipv4/${name}`)
  .join("; ");

const redirection = `table ip berth_names
delete table ip berth_names
table ip berth_names {
	chain output {
		type nat hook output priority -100;
		ip daddr ${resolverAddress} udp dport 53 dnat to ${serverAddress}
		ip daddr ${resolverAddress} tcp dport 53 dnat to ${serverAddress}
	}
}
`;

function isBridged(network: NetworkRow): network is Bridged {
  return network.bridge !== undefined;
}

function memberOf(network: NetworkRow, row: EndpointRow): Member {
  return {
    endpointId: row.id,
    holder: row.holder,
    networkId: network.id,
    networkName: network.name,
    addresses: [formatAddress(row.address), ...(row.address6 === undefined ? [] : [row.address6])],
    names: [...new Set([row.name, ...row.resolver.names])],
    links: row.resolver.links,
    upstreams: row.resolver.upstreams,
    internal: network.internal,
    gateways: gatewaysOf(network),
  };
}

/** Addresses of the host in it. */
function gatewaysOf({ internal, bridge }: NetworkRow): string[] {
  if (internal || !bridge) return [];
  const { gateway, six } = bridge;
  return [...(gateway === undefined ? [] : [formatAddress(gateway)]), ...(six?.gateway ? [six.gateway] : [])];
}
