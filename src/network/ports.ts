import { EngineError } from "../errors/mod.ts";
import type { PortBinding, PortMap } from "../wire/mod.ts";
import { formatAddress, parseAddress } from "./address.ts";

export type Protocol = "tcp" | "udp";

/** One binding to make: the first port of the range that is free; 0 to 0 lets the kernel choose. */
export interface PortWish {
  readonly protocol: Protocol;
  readonly containerPort: number;
  readonly hostAddress: string;
  readonly first: number;
  readonly last: number;
}

/** A published port as it is. */
export interface PublishedPort {
  readonly protocol: Protocol;
  readonly containerPort: number;
  /** IPv4; "0.0.0.0" for all of the host. */
  readonly hostAddress: string;
  readonly hostPort: number;
}

/**
 * What a PortBindings object asks for. Fixed ports come first, so that a range or a chosen port of the same container
 * cannot take one away. Throws "invalid" for malformed ports, "not-implemented" for SCTP and IPv6 host addresses.
 */
export function portWishes(ports: PortMap, defaultAddress: string): PortWish[] {
  const wishes = Object.entries(ports).flatMap(([key, bindings]) => {
    const target = containerPort(key);
    return (bindings ?? []).map((binding) => ({ ...target, ...hostSide(binding, defaultAddress) }));
  });
  return wishes.sort((a, b) => Number(isChoice(a)) - Number(isChoice(b)));
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

function isChoice(wish: PortWish): boolean {
  return wish.first !== wish.last || wish.first === 0;
}

function containerPort(key: string): { protocol: Protocol; containerPort: number } {
  const [port = "", protocol = "tcp", ...rest] = key.split("/");
  const number = portNumber(port);
  if (number === undefined || number === 0 || rest.length > 0) {
    throw new EngineError("invalid", `invalid port specification: "${key}"`);
  }
  if (protocol === "sctp")
    throw new EngineError("not-implemented", `publishing sctp ports (${key}) is not implemented`);
  if (protocol !== "tcp" && protocol !== "udp") throw new EngineError("invalid", `invalid proto: ${protocol}`);
  return { protocol, containerPort: number };
}

function hostSide(binding: PortBinding, fallback: string): { hostAddress: string; first: number; last: number } {
  return { hostAddress: hostAddress(binding.HostIp || fallback), ...hostRange(binding.HostPort) };
}

function hostAddress(text: string): string {
  const address = parseAddress(text);
  if (address !== undefined) return formatAddress(address);
  if (text.includes(":")) {
    throw new EngineError("not-implemented", `publishing on IPv6 host address ${text} is not implemented`);
  }
  throw new EngineError("invalid", `invalid IP address: ${text}`);
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
