import type { EndpointConfig, Filters, NetworkCreateBody, NetworkInspect, PortMap } from "../wire/mod.ts";
import type { NetworkReport } from "./report.ts";

/**
 * Bridges, addresses, ports, NAT.
 *
 * A *sandbox* is a network namespace with loopback up, made for one holder (a container id, a build step), bound at a
 * path that an OCI runtime joins. An *endpoint* is a holder's leg in one network: a veth pair, addresses, published
 * ports. Rows come first; `recover`, which must run once before anything is connected, brings the kernel to what the rows
 * say (bridge, nft table, ports) and removes what no row knows. The default network is called `bridge`; `host` and `none` exist by name and have no endpoints in the
 * kernel.
 *
 * The nft table is rendered whole at start (`renderNftTable`) and changed by elements afterwards: the thousandth port
 * costs what the first did. Names of everything in the kernel carry the daemon's tag, so two daemons never touch.
 */
export interface Networks {
  create(body: NetworkCreateBody): Promise<{ id: string; warning: string }>;
  /** By id, name or unambiguous id prefix. Throws "not-found": `network NAME not found`. */
  get(idOrName: string): NetworkInspect;
  /** The id of the network of this name; undefined where there is none. */
  idOf(name: string): string | undefined;
  /** Filters: name, id, driver, type, label, scope, dangling. */
  list(filter: Filters): NetworkInspect[];
  /** Throws "forbidden" for predefined ones and while endpoints are active. */
  remove(idOrName: string): Promise<void>;
  /** Removes custom networks without endpoints and gives their names. Filters: until, label, label!. */
  prune(filter: Filters): Promise<string[]>;
  /** `owner` is the path of a user namespace, whose root may then do there what root may do in a network. */
  openSandbox(holder: string, owner?: string): Promise<Sandbox>;
  /** Takes down what is left of the holder: endpoints, ports, veths, the namespace. No error when nothing is. */
  closeSandbox(holder: string): Promise<void>;
  /** Throws what {@link Networks.connect} throws for what can never be, without connecting anything. */
  check(idOrName: string, config: EndpointConfig): void;
  /** Throws "not-found", "conflict"/"invalid" (address), "internal" `driver failed programming external connectivity on endpoint NAME (ID): Bind for 0.0.0.0:80 failed: port is already allocated`. Nothing is left when it fails. */
  connect(idOrName: string, request: EndpointRequest): Promise<Endpoint>;
  disconnect(idOrName: string, holder: string): Promise<void>;
  /** Publishes more ports of a holder that is connected, as {@link EndpointRequest.ports}; all or none. Throws "conflict" when none of its networks leads outside, and as `connect` for ports. */
  publish(holder: string, ports: PortMap): Promise<PortMap>;
  /** Ends what is published, named as `publish` returned it; what is not published is passed over. */
  unpublish(holder: string, ports: PortMap): Promise<void>;
  /** Where members of the network ask for names; undefined where they ask the host's resolvers, or there is no such network. */
  resolver(idOrName: string): string | undefined;
  /** The host as members of the network see it, its gateway there; undefined where they do not, or there is no such network. */
  hostAddress(idOrName: string): string | undefined;
  /** What to tell somebody who is about to publish these ports in the network: what the host's firewall does to them. Never throws for a network or port that cannot be; waits 50 ms at most. */
  portWarnings(idOrName: string, ports: PortMap): Promise<string[]>;
  /** How the host treats these networks; takes seconds where a resolver does not answer. */
  report(): Promise<NetworkReport>;
  /** The holder has another name from now on. No error for one that has no endpoints. */
  rename(holder: string, name: string): Promise<void>;
  endpoints(holder: string): Endpoint[];
  /** Brings kernel state back to what the rows of these live holders say, removes the rest. */
  recover(liveHolders: ReadonlySet<string>): Promise<void>;
  /** Removes every bridge, veth, namespace, nft table of this daemon if no endpoint is left; on clean shutdown. */
  shutdown(): Promise<void>;
}

export interface Sandbox {
  /** Path of the network namespace, such as /run/berth/netns/ID. */
  readonly path: string;
}

export interface EndpointRequest {
  readonly holder: string;
  /** The container's name, for DNS and error texts. */
  readonly name: string;
  /** Further names that it is found under in user-defined networks, besides `name` and the aliases of `config`. */
  readonly dnsNames?: readonly string[];
  /** Names that only this holder knows in the network, in lower case, and the names that they stand for. */
  readonly links?: Readonly<Record<string, string>>;
  /** Resolvers that it asks for what is no container's name, instead of the host's. */
  readonly upstreams?: readonly string[];
  readonly config?: EndpointConfig;
  readonly macAddress?: string;
  /** Ports to publish on this endpoint, as HostConfig.PortBindings has them, ranges not yet resolved ("8000-8010", "" for an ephemeral one). */
  readonly ports?: PortMap;
  /** What was chosen for them the last time ({@link chosenPorts}): chosen again where it is free. */
  readonly portsBefore?: PortMap;
}

export interface Endpoint {
  readonly id: string;
  readonly holder: string;
  readonly networkId: string;
  readonly networkName: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly address6?: string;
  readonly prefixLength6?: number;
  readonly gateway6?: string;
  readonly macAddress: string;
  readonly aliases: readonly string[];
  readonly config: EndpointConfig;
  /** Resolved: every binding has its host port. IPv4 only: an empty host address is listed as 0.0.0.0 and not also as ::, because [::1] and other IPv6 addresses are refused (at once, so that `localhost` falls back to 127.0.0.1). */
  readonly ports: PortMap;
}
