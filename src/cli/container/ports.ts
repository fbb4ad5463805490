import type { EmptyObject, PortBinding } from "../../wire/mod.ts";
import { bad } from "./values.ts";

export interface PortSpecs {
  readonly exposed: Record<string, EmptyObject>;
  readonly bindings: Record<string, PortBinding[]>;
}

/** `--publish` and `--expose`: `[[IP:][HOST]:]CONTAINER[/PROTO]`, each port a number or a range. */
export function portSpecs(publish: readonly string[], expose: readonly string[]): PortSpecs {
  const specs: PortSpecs = { exposed: {}, bindings: {} };
  for (const given of expose)
    for (const port of range("expose", given, splitProtocol(given)[0]))
      specs.exposed[`${port}/${splitProtocol(given)[1]}`] = {};
  for (const given of publish) addPublished(specs, given);
  return specs;
}

function addPublished(specs: PortSpecs, given: string): void {
  if (given.includes("=")) throw bad("publish", given, "long syntax is for services of a swarm");
  const [address, protocol] = splitProtocol(given);
  const { ip, host, container } = splitAddress(given, address);
  const inside = range("publish", given, container);
  const outside = host === "" ? [] : range("publish", given, host);
  const spread = inside.length === 1 && outside.length > 1;
  if (outside.length > 0 && !spread && outside.length !== inside.length)
    throw bad("publish", given, "the ranges differ in length");
  inside.forEach((port, at) => {
    const key = `${port}/${protocol}`;
    specs.exposed[key] = {};
    const hostPort = outside.length === 0 ? "" : spread ? host : String(outside[at]);
    const bindings = specs.bindings[key] ?? [];
    bindings.push({ HostIp: ip, HostPort: hostPort });
    specs.bindings[key] = bindings;
  });
}

function splitProtocol(given: string): [string, string] {
  const at = given.lastIndexOf("/");
  const protocol = at < 0 ? "tcp" : given.slice(at + 1).toLowerCase();
  if (!["tcp", "udp", "sctp"].includes(protocol)) throw bad("publish", given, `invalid proto: ${protocol}`);
  return [at < 0 ? given : given.slice(0, at), protocol];
}

function splitAddress(given: string, address: string): { ip: string; host: string; container: string } {
  const match = /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?(?:([\d-]*):)?([\d-]+)$/.exec(address);
  if (!match) throw bad("publish", given, "[IP:][HOST:]CONTAINER[/PROTO] is expected");
  const [, six, first = "", middle, container = ""] = match;
  const ip = six ?? (middle === undefined ? "" : first);
  const host = middle ?? (six === undefined ? first : "");
  return { ip, host, container };
}

function range(flag: string, given: string, text: string): number[] {
  const [first, last = first] = text.split("-").map(Number);
  if (
    !/^\d+(-\d+)?$/.test(text) ||
    first === undefined ||
    last === undefined ||
    first < 1 ||
    last > 65535 ||
    last < first
  ) {
    throw bad(flag, given, `${JSON.stringify(text)} is not a port or a range of ports`);
  }
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}
