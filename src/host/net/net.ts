import { removeNamespace } from "../namespace-files.ts";
import { changeElements, type ElementChange, type NftTable } from "./elements.ts";
import { type FlowFilter, forgetFlows } from "./flows.ts";
import { type HostRoute, hostRoutes, routeLink } from "./host-routes.ts";
import { type InsidePlan, routeLine } from "./inside.ts";
import { createNamespace, ipInside, moveNamespace, type Runner } from "./namespace.ts";
import { Netlink, protocols } from "./netlink.ts";
import { type PairEnd, plugPair } from "./pair.ts";
import type { PortGroup } from "./port.ts";
import { createPortGroup } from "./port-group.ts";
import { linkKind } from "./route.ts";
import { type NftRules, nftRules } from "./rules.ts";
import { type HookedChain, hookedChains, rulesetGeneration } from "./ruleset.ts";
import { plugVeth, unplugVeth, type VethPlan } from "./veth.ts";
import { plugVlan, unplugInside, type VlanPlan } from "./vlan.ts";
import { type RulesetWatcher, watchRuleset } from "./watch.ts";

export type { HostRoute } from "./host-routes.ts";
export type { InsidePlan } from "./inside.ts";
export type { VlanKind } from "./vlan.ts";

/**
 * The kernel's part of every container start: namespaces, veths, nft map elements and host ports. What can be said from
 * outside of a namespace is netlink of this process; what must be said inside is one spawn. Measured on a two-core
 * machine: a veth pair 0.6 ms, an nft element 0.1 ms (nft(8): 3.2 ms), a spawn that enters a namespace 3 to 4 ms, of
 * which the main thread sees 0.7 ms. What is rare goes through ip(8) and nft(8).
 *
 * Netlink calls are synchronous: an answer is there before send(2) returns. What would wait for the kernel (deleting a
 * link takes 15 to 50 ms) is not here.
 */
export interface Net {
  /** A new network namespace with loopback up and IPv6 off for interfaces to come, bound at `path`; it belongs to the user namespace at `owner`, else to our own. Throws "conflict" when the path exists, "unavailable" without util-linux or iproute2; nothing is left then. */
  createNamespace(path: string, owner?: string): Promise<void>;
  /** Binds the namespace at another path instead. Throws "conflict" when that one exists; the old one stays then. */
  moveNamespace(from: string, to: string): void;
  /** Unmounts and removes what {@link Net.createNamespace} made. No error when it is gone. The kernel takes down the namespace, with the veths in it, some 50 ms after its last process. */
  removeNamespace(path: string): void;
  /** A veth pair: one end is a port of the bridge, the other inside the namespace, with its address and route, both up. All or nothing. Throws "not-found" for a missing bridge or namespace. */
  plugVeth(plan: VethPlan): Promise<void>;
  /** Takes the port off its bridge at once, without waiting for the pair to die. No error when there is none. */
  unplugVeth(name: string): void;
  /** An interface inside the namespace on a link of the host. All or nothing. Throws "not-found" for a missing parent or namespace, "internal" when the kernel has no such interface or the parent cannot have this one. */
  plugVlan(plan: VlanPlan): Promise<void>;
  /** Also for an end of a pair. */
  unplugInside(inside: Pick<VlanPlan, "namespace" | "inside">): Promise<void>;
  /** A veth between two namespaces. All or nothing. Throws "not-found" for a missing namespace. */
  plugPair(ends: readonly [PairEnd, PairEnd]): Promise<void>;
  /** Sets routes as {@link InsidePlan} has them, of an interface that is there. */
  setRoutes(
    wanted: Pick<InsidePlan, "namespace" | "inside" | "routes"> & { readonly gateways?: readonly string[] },
  ): Promise<void>;
  /** Kind of a link of the host: "bridge", "veth", "vlan" …, "" for hardware; undefined when there is no such link. */
  linkKind(name: string): string | undefined;
  /** The host's routes of one kind, in all tables. Some 2 µs for each. */
  hostRoutes(family: 4 | 6): HostRoute[];
  /** The name of the link that a route goes by; undefined when there is none, or several. */
  routeLink(route: HostRoute): string | undefined;
  /** One transaction of a table: all changes or none. Throws "not-found" when the table, the set or an element to delete is missing. */
  changeElements(at: NftTable, changes: readonly ElementChange[]): void;
  /** Another number with every change of the host's nft rules, whoever makes it; some 20 µs. */
  rulesetGeneration(): number;
  /** The chains that the kernel asks about packets, of all tables. Throws "unavailable" where the kernel has no nf_tables, as {@link Net.rulesetGeneration} does. */
  hookedChains(): HookedChain[];
  /** The rules of a table, or of one of its chains; undefined when there is none. Elements of sets are not in it. */
  nftRules(at: NftTable, chain?: string): NftRules | undefined;
  /** Tells of every change of the ruleset, whoever makes it, until it is disposed. */
  watchRuleset(watcher: RulesetWatcher): Promise<Disposable>;
  /** Makes the kernel forget flows; gives how many. */
  forgetFlows(filter: FlowFilter): Promise<number>;
  /** A group without ports. */
  portGroup(): PortGroup;
}

export function createNet(runner: Runner): Net {
  return {
    createNamespace: (path, owner) => createNamespace(runner, path, owner),
    moveNamespace,
    removeNamespace,
    plugVeth: (plan) => plugVeth(runner, plan),
    unplugVeth,
    plugVlan: (plan) => plugVlan(runner, plan),
    plugPair: (ends) => plugPair(runner, ends),
    unplugInside: (inside) => unplugInside(runner, inside),
    setRoutes: (wanted) => setRoutes(runner, wanted),
    linkKind: (name) => {
      using netlink = new Netlink(protocols.route);
      return linkKind(netlink, name);
    },
    hostRoutes,
    routeLink,
    changeElements,
    rulesetGeneration,
    hookedChains,
    nftRules,
    watchRuleset,
    forgetFlows,
    portGroup: createPortGroup,
  };
}

async function setRoutes(
  runner: Runner,
  { namespace, inside, routes = [], gateways = [] }: Parameters<Net["setRoutes"]>[0],
): Promise<void> {
  const ways = gateways.map((gateway) => `route replace default via ${gateway} dev ${inside}`);
  await ipInside(runner, namespace, { lines: [...ways, ...routes.map((route) => routeLine(route, inside))] });
}
