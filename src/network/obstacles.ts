import type { HostRoute } from "../host/mod.ts";
import { formatSubnet, lastAddress, overlap, type Subnet } from "./address.ts";
import { formatAddress6, formatSubnet6, overlap6, type Subnet6 } from "./address6.ts";
import type { Context } from "./context.ts";
import { legsOf, networkOverlapping } from "./table.ts";

export interface Obstacle {
  /** For people: "network app has 10.1.0.0/16". */
  readonly what: string;
  /** Where it ends; only of IPv4. */
  readonly last: number;
}

interface Route<S> {
  readonly subnet: S;
  readonly from: HostRoute;
}

/**
 * What is in the way of a new subnet: other networks, and the host's routes as they were when first asked for. Default
 * routes are not, nor are the halves of all addresses that VPNs route in their stead. Routes by the link `except` are
 * passed over.
 */
export class Obstacles {
  readonly #context: Context;
  readonly #except: string | undefined;
  #four: Route<Subnet>[] | undefined;
  #six: Route<Subnet6>[] | undefined;

  constructor(context: Context, except?: string) {
    this.#context = context;
    this.#except = except;
  }

  four(subnet: Subnet): Obstacle | undefined {
    return this.network(subnet) ?? this.route(subnet);
  }

  six(subnet: Subnet6): Obstacle | undefined {
    const network = this.network(subnet);
    if (network) return network;
    this.#six ??= this.#context.host.net.hostRoutes(6).flatMap(sixRoute);
    const route = this.#six.find((one) => overlap6(one.subnet, subnet) && this.#counts(one));
    return route && { what: this.#tell(formatSubnet6(route.subnet), route.from), last: 0 };
  }

  /** Of ours, as a route of theirs may not be there yet. */
  network(subnet: Subnet | Subnet6): Obstacle | undefined {
    const network = this.#context.db.read((q) => networkOverlapping(q, subnet));
    const legs = network && legsOf(network);
    if (!network || !legs) return undefined;
    const its =
      typeof subnet.base === "number" ? formatSubnet(legs.subnet) : legs.six ? formatSubnet6(legs.six.subnet) : "";
    return { what: `network ${network.name} has ${its}`, last: lastAddress(legs.subnet) };
  }

  /** A route of the host into the subnet. */
  route(subnet: Subnet): Obstacle | undefined {
    this.#four ??= this.#context.host.net.hostRoutes(4).flatMap(fourRoute);
    const route = this.#four.find((one) => overlap(one.subnet, subnet) && this.#counts(one));
    return route && { what: this.#tell(formatSubnet(route.subnet), route.from), last: lastAddress(route.subnet) };
  }

  #counts({ from }: { readonly from: HostRoute }): boolean {
    return this.#except === undefined || this.#context.host.net.routeLink(from) !== this.#except;
  }

  #tell(subnet: string, from: HostRoute): string {
    const link = this.#context.host.net.routeLink(from);
    return `the host has a route to ${subnet}${link === undefined ? "" : ` by ${link}`}`;
  }
}

/** The host's routes of IPv4, those that count as obstacles, each with its link ("" for none, or several). */
export function routes({ host }: Pick<Context, "host">): { readonly subnet: Subnet; readonly link: string }[] {
  const names = new Map<number, string>();
  return host.net
    .hostRoutes(4)
    .flatMap(fourRoute)
    .map(({ subnet, from }) => {
      const link = names.get(from.link) ?? host.net.routeLink(from) ?? "";
      names.set(from.link, link);
      return { subnet, link };
    });
}

function fourRoute(from: HostRoute): Route<Subnet>[] {
  const { destination, prefixLength } = from;
  return prefixLength < 2 ? [] : [{ from, subnet: { base: destination.readUInt32BE(), prefixLength } }];
}

/** Link-local and multicast addresses are everywhere. */
function sixRoute(from: HostRoute): Route<Subnet6>[] {
  const { destination, prefixLength } = from;
  const [first = 0, second = 0] = destination;
  const everywhere = first === 0xff || (first === 0xfe && second >= 0x80 && second < 0xc0);
  if (prefixLength < 2 || everywhere) return [];
  return [{ from, subnet: { base: formatAddress6(BigInt(`0x${destination.toString("hex")}`)), prefixLength } }];
}
