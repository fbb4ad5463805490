import { EngineError } from "../errors/mod.ts";
import type { PortBinding, PortMap } from "../wire/mod.ts";
import { formatAddress, parseAddress } from "./address.ts";
import { formatAddress6, parseAddress6 } from "./address6.ts";

/** As IANA numbers them. */
export const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const;
export type Protocol = keyof typeof protocolNumbers;

/** One binding to make: the first port of the range that is free; 0 to 0 lets the kernel choose. */
export interface PortWish {
  readonly protocol: Protocol;
  readonly containerPort: number;
  readonly hostAddress: string;
  /** The same port on this address, too. */
  readonly also?: string;
  readonly first: number;
  readonly last: number;
  /** Taken instead of the first one when it is free: what the container had before. */
  readonly before?: number;
}

/** A published port as it is. */
export interface PublishedPort {
  readonly protocol: Protocol;
  readonly containerPort: number;
  /** "0.0.0.0" or "::" for all of the host's of that kind. */
  readonly hostAddress: string;
  readonly hostPort: number;
}

/**
 * What a PortBindings object asks for. Fixed ports come first, so that a range or a chosen port of the same container
 * cannot take one away; then those that the container had before (`before`, as {@link toPortMap} gave them). Throws "invalid" for
 * malformed ports and for IPv6 host addresses of a container that has no IPv6.
 */
export function portWishes(
  ports: PortMap,
  network: { readonly hostAddress: string; readonly six?: object },
  before: PortMap = {},
): PortWish[] {
  const wishes = Object.entries(ports).flatMap(([key, bindings]) => {
    const target = containerPort(key);
    const old = [...(before[`${target.containerPort}/${target.protocol}`] ?? [])];
    return (bindings ?? []).map((binding) => withBefore({ ...target, ...hostSide(binding, network) }, old));
  });
  return wishes.sort((a, b) => freedom(a) - freedom(b));
}

/** The first of the old ports that the wish would take, too, is used up. */
function withBefore(wish: PortWish, old: PortBinding[]): PortWish {
  if (!isChoice(wish)) return wish;
  const fits = ({ HostIp, HostPort }: PortBinding) =>
    HostIp === wish.hostAddress &&
    (wish.first === 0 || (wish.first <= Number(HostPort) && Number(HostPort) <= wish.last));
  const at = old.findIndex(fits);
  const [found] = at < 0 ? [] : old.splice(at, 1);
  return found ? { ...wish, before: Number(found.HostPort) } : wish;
}

/** Of the ports of a map those that were chosen for what `asked` leaves open, for {@link portWishes} of the next time. */
export function chosenPorts(asked: PortMap, made: PortMap): PortMap {
  const open = Object.entries(asked).flatMap(([key, bindings]) => {
    const fixed = new Set((bindings ?? []).map(({ HostPort }) => HostPort));
    const chosen = (made[key] ?? []).filter(({ HostPort }) => !fixed.has(HostPort));
    return chosen.length > 0 ? [[key, chosen] as const] : [];
  });
  return Object.fromEntries(open);
}

/** Docker's PortMap of what is published. */
export function toPortMap(ports: readonly PublishedPort[]): PortMap {
  const map: Record<string, PortBinding[]> = {};
  for (const port of ports) {
    const key = `${port.containerPort}/${port.protocol}`;
    const bindings = map[key] ?? [];
    bindings.push({ HostIp: port.hostAddress, HostPort: String(port.hostPort) });
    map[key] = bindings;
  }
  return map;
}

function freedom(wish: PortWish): number {
  return !isChoice(wish) ? 0 : wish.before !== undefined ? 1 : 2;
}

function isChoice(wish: PortWish): boolean {
  return wish.first !== wish.last || wish.first === 0;
}

function containerPort(key: string): { protocol: Protocol; containerPort: number } {
  const [port = "", protocol = "tcp", ...rest] = key.split("/");
  const number = portNumber(port);
  if (number === undefined || number === 0 || rest.length > 0) {
    throw new EngineError("invalid", `invalid port specification: "${key}"`);
  }
  if (!isProtocol(protocol)) throw new EngineError("invalid", `invalid proto: ${protocol}`);
  return { protocol, containerPort: number };
}

function isProtocol(text: string): text is Protocol {
  return Object.hasOwn(protocolNumbers, text);
}

function hostSide({ HostIp, HostPort }: PortBinding, network: { hostAddress: string; six?: object }) {
  const hostAddress = canonical(HostIp || network.hostAddress, network.six !== undefined);
  const both = HostIp === "" && hostAddress === "0.0.0.0" && network.six;
  return { hostAddress, ...(both && { also: "::" }), ...hostRange(HostPort) };
}

function canonical(text: string, hasSix: boolean): string {
  const address = parseAddress(text);
  if (address !== undefined) return formatAddress(address);
  const address6 = parseAddress6(text);
  if (address6 === undefined) throw new EngineError("invalid", `invalid IP address: ${text}`);
  if (hasSix) return formatAddress6(address6);
  const why = "the container's network has no IPv6 (network create --ipv6)";
  throw new EngineError("invalid", `cannot publish on the IPv6 host address ${text}: ${why}`);
}

function hostRange(text: string): { first: number; last: number } {
  if (text === "") return { first: 0, last: 0 };
  const [from = "", to = from, ...rest] = text.split("-");
  const first = portNumber(from);
  const last = portNumber(to);
  if (first === undefined || last === undefined || last < first || rest.length > 0 || (first === 0 && last > 0)) {
    throw new EngineError("invalid", `invalid port range: "${text}"`);
  }
  return { first, last };
}

function portNumber(text: string): number | undefined {
  return /^\d{1,5}$/.test(text) && Number(text) < 65536 ? Number(text) : undefined;
}
