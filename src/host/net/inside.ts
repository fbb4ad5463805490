import { ipInside, type Runner } from "./namespace.ts";

/** How an interface in a namespace is to be, whatever it is made of. */
export interface InsidePlan {
  /** Path of the namespace, and the name of the interface in it. */
  readonly namespace: string;
  readonly inside: string;
  /** IPv4. */
  readonly address: string;
  readonly prefixLength: number;
  /** IPv6 beside it: an address, its prefix length, and the gateway of its default route. */
  readonly six?: { readonly address: string; readonly prefixLength: number; readonly gateway?: string };
  /** Default route; what is there of one goes. None without it. */
  readonly gateway?: string;
  /** Further addresses, with their prefix lengths. */
  readonly addresses?: readonly string[];
  /** Further routes by way of the interface; `local` ones are addresses of the namespace itself. */
  readonly routes?: readonly VethRoute[];
  /** Settings below /proc/sys of the namespace, made before there are addresses; path and value hold letters, digits and `_ . / -` only, and the value spaces. */
  readonly sysctls?: readonly { readonly path: string; readonly value: string }[];
  readonly mtu?: number;
}

export interface VethRoute {
  /** An address or a subnet. */
  readonly to: string;
  /** What packets that go there have as their sender, unless a program says otherwise. */
  readonly source?: string;
  readonly local?: boolean;
}

/** Addresses, up, routes: one process. */
export async function furnishInside(runner: Runner, plan: InsidePlan): Promise<void> {
  const { inside, six, sysctls = [] } = plan;
  const settings = sysctls.map(({ path, value }) => `echo "${value}" >"/proc/sys/${path}"`);
  const before = [...(six ? [allowSix(inside)] : []), ...settings];
  await ipInside(runner, plan.namespace, { lines: insideLines(plan), before });
}

export function routeLine({ to, source, local = false }: VethRoute, inside: string): string {
  const sender = source === undefined ? "" : ` src ${source}`;
  return local ? `route replace local ${to} dev lo table local${sender}` : `route replace ${to} dev ${inside}${sender}`;
}

/** Off in every new namespace (see namespace.ts); addresses come from the engine, not from whoever advertises some. */
function allowSix(inside: string): string {
  const settings = `/proc/sys/net/ipv6/conf/${inside}`;
  return `echo 0 >${settings}/accept_ra; echo 0 >${settings}/disable_ipv6`;
}

function sixLines({ inside, six }: InsidePlan): string[] {
  if (!six) return [];
  const route = six.gateway === undefined ? [] : [`route replace default via ${six.gateway} dev ${inside}`];
  return [`addr add ${six.address}/${six.prefixLength} dev ${inside} nodad`, ...route];
}

function insideLines(plan: InsidePlan): string[] {
  const { inside, address, prefixLength, gateway, addresses = [], routes = [] } = plan;
  const broadcast = prefixLength < 31 ? "broadcast + " : "";
  return [
    `addr add ${address}/${prefixLength} ${broadcast}dev ${inside}`,
    ...addresses.map((further) => `addr add ${further} dev ${inside}${further.includes(":") ? " nodad" : ""}`),
    `link set ${inside} up`,
    ...sixLines(plan),
    ...(gateway === undefined ? [] : [`route replace default via ${gateway} dev ${inside}`]),
    ...routes.map((route) => routeLine(route, inside)),
  ];
}
