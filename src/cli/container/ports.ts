import type { EmptyObject, PortBinding } from "../../wire/mod.ts";
import { invalid, isAddress } from "./values.ts";

export interface PortSpecs {
  readonly exposed: Record<string, EmptyObject>;
  readonly bindings: Record<string, PortBinding[]>;
}

/** `--publish` and `--expose`: `[[IP:][HOST]:]CONTAINER[/PROTO]`, each port a number or a range. Throws "invalid" in docker's words. */
export function portSpecs(publish: readonly string[], expose: readonly string[]): PortSpecs {
  const specs: PortSpecs = { exposed: {}, bindings: {} };
  for (const given of publish) addPublished(specs, given);
  for (const given of expose) addExposed(specs, given);
  return specs;
}

function addExposed(specs: PortSpecs, given: string): void {
  if (given.includes(":")) throw invalid(`invalid port format for --expose: ${given}`);
  const { ports, protocol } = splitProtocol(given);
  const found = range(ports);
  if (!found) throw invalid(`invalid range format for --expose: ${given}`);
  for (const port of found) specs.exposed[`${port}/${protocol}`] = {};
}

function addPublished(specs: PortSpecs, given: string): void {
  for (const { ip, host, container, protocol } of publishedPorts(given)) {
    const key = `${container}/${protocol}`;
    specs.exposed[key] = {};
    const bindings = specs.bindings[key] ?? [];
    bindings.push({ HostIp: ip, HostPort: host });
    specs.bindings[key] = bindings;
  }
}

interface Published {
  readonly ip: string;
  readonly host: string;
  readonly container: number;
  readonly protocol: string;
}

function publishedPorts(given: string): Published[] {
  if (/^(\w+=[^,]*)(,|$)/.test(given)) return longForm(given);
  const { ports, protocol } = splitProtocol(given);
  const { ip, host, container } = splitAddress(ports);
  if (container === "") throw invalid(`no port specified: ${given}<empty>`);
  if (ip !== "" && !isAddress(ip)) throw invalid(`invalid IP address: ${ip}`);
  const inside = range(container);
  if (!inside) throw invalid(`invalid containerPort: ${container}`);
  const outside = host === "" ? [] : range(host);
  if (!outside) throw invalid(`invalid hostPort: ${host}`);
  // One container port and several of the host: any of those that is free.
  const spread = inside.length === 1 && outside.length > 1;
  if (outside.length > 0 && !spread && outside.length !== inside.length)
    throw invalid(`invalid ranges specified for container and host Ports: ${container} and ${host}`);
  const hostOf = (at: number) => (spread ? host : String(outside[at] ?? ""));
  return inside.map((port, at) => ({ ip, host: hostOf(at), container: port, protocol }));
}

/** `published=8080,target=80,protocol=tcp,mode=host`, which docker's CLI takes for containers too. */
function longForm(given: string): Published[] {
  const fields = new Map(given.split(",").map((field) => field.split("=", 2) as [string, string]));
  for (const [key, text = ""] of fields)
    if (!["published", "target", "protocol", "mode"].includes(key) || text === "")
      throw invalid(`invalid field key ${key}`);
  const target = range(fields.get("target") ?? "");
  if (target?.length !== 1) throw invalid(`invalid target port: ${fields.get("target") ?? ""}`);
  const { protocol } = splitProtocol(`0/${fields.get("protocol") ?? "tcp"}`);
  return [{ ip: "", host: fields.get("published") ?? "", container: target[0] ?? 0, protocol }];
}

function splitProtocol(given: string): { readonly ports: string; readonly protocol: string } {
  const [ports = "", protocol = "tcp"] = given.split("/", 2);
  const known = protocol.toLowerCase();
  if (!["tcp", "udp", "sctp"].includes(known)) throw invalid(`invalid proto: ${protocol}`);
  return { ports, protocol: known };
}

/** From the right: what stands before the last two colons is an address, IPv6 with or without brackets. */
function splitAddress(given: string): { readonly ip: string; readonly host: string; readonly container: string } {
  const parts = given.split(":");
  const container = parts.pop() ?? "";
  const host = parts.pop() ?? "";
  return { ip: parts.join(":").replace(/^\[(.*)\]$/, "$1"), host, container };
}

/** `80` or `80-82`; undefined for anything else. */
function range(text: string): number[] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? first);
  if (!match || last > 65535 || last < first) return undefined;
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}
