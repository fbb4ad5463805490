import { isRecord, type Statement } from "./ruleset.ts";

/** The first packet of a connection from outside to a published port, or from a container to the outside. */
export interface Packet {
  readonly family: "ip" | "ip6";
  readonly protocol: "tcp" | "udp" | "sctp";
  /** Where it goes: the container's when it is passed on, the host's when it comes in; undefined when nobody knows yet. */
  readonly port?: number;
  /** The link that it leaves by when it is passed on, for what is published a bridge; undefined when it comes in. */
  readonly to?: string;
  /** It comes from a container, and goes where that one sent it. */
  readonly outward?: boolean;
  /** The link that it comes by; undefined when nobody knows. */
  readonly from?: string;
}

/** Whether something is so; undefined when it depends on what nobody knows here: where the packet comes from, what is in a named set. */
export type Truth = boolean | undefined;

/** Whether a packet is what a `match` of libnftables-json(5) asks for. */
export function matches(match: unknown, packet: Packet): Truth {
  if (!isRecord(match)) return undefined;
  const { op, left, right } = match;
  const found = isOneOf(left, { values: right, packet });
  if (op === "==" || op === "in") return found;
  return op === "!=" && found !== undefined ? !found : undefined;
}

/** Whether a packet has one of these values there. */
export function isOneOf(left: unknown, { values, packet }: { values: unknown; packet: Packet }): Truth {
  if (!isRecord(left)) return undefined;
  const truths = list(values).map((value) => has(left, { value, packet }));
  if (truths.includes(true)) return true;
  return truths.includes(undefined) ? undefined : false;
}

interface Asked {
  readonly value: unknown;
  readonly packet: Packet;
}

function has(left: Statement, asked: Asked): Truth {
  if (typeof asked.value === "string" && asked.value.startsWith("@")) return undefined;
  if (isRecord(left["meta"])) return hasMeta(left["meta"]["key"], asked);
  if (isRecord(left["ct"])) return hasCt(left["ct"]["key"], asked);
  if (isRecord(left["payload"])) return hasPayload(left["payload"], asked);
  if (isRecord(left["fib"])) return hasFib(left["fib"], asked);
  return undefined;
}

function hasMeta(key: unknown, { value, packet }: Asked): Truth {
  switch (key) {
    case "iifname":
    case "iif":
      if (packet.from !== undefined) return isLink(packet.from, value);
      return value === "lo" || value === packet.to ? false : undefined;
    case "oifname":
    case "oif":
      return packet.to === undefined ? undefined : isLink(packet.to, value);
    case "l4proto":
      return value === packet.protocol;
    case "nfproto":
      return value === (packet.family === "ip" ? "ipv4" : "ipv6");
    case "protocol":
      return value === packet.family;
    default:
      return undefined;
  }
}

/** A name with a star at its end stands for all that begin so. */
function isLink(link: string, pattern: unknown): boolean {
  if (typeof pattern !== "string") return false;
  return pattern.endsWith("*") ? link.startsWith(pattern.slice(0, -1)) : link === pattern;
}

/** What a connection that begins may have got before a filter sees it, depending on rules that are not looked at. */
const untold: ReadonlySet<unknown> = new Set(["confirmed", "dying", "helper", "offload"]);

/** A connection that begins has no other state, and what is passed on to a container has another destination than it was sent to. */
function hasCt(key: unknown, { value, packet }: Asked): Truth {
  if (key === "state") return value === "new";
  if (key === "direction") return value === "original";
  if (key !== "status") return undefined;
  if (value === "dnat") return packet.to !== undefined && packet.outward !== true;
  return untold.has(value) ? undefined : false;
}

const transports: ReadonlySet<unknown> = new Set(["tcp", "udp", "sctp", "udplite", "dccp"]);
const otherProtocols: ReadonlySet<unknown> = new Set(["icmp", "icmpv6", "igmp", "ah", "esp", "comp", "arp", "vlan"]);

function hasPayload({ protocol, field }: Statement, { value, packet }: Asked): Truth {
  if (otherProtocols.has(protocol)) return false;
  if (protocol === "ip" || protocol === "ip6") {
    if (protocol !== packet.family) return false;
    return field === "protocol" || field === "nexthdr" ? value === packet.protocol : undefined;
  }
  if (transports.has(protocol) && protocol !== packet.protocol) return false;
  return field === "dport" && packet.port !== undefined ? isPort(packet.port, value) : undefined;
}

function isPort(port: number, value: unknown): Truth {
  if (typeof value === "number") return value === port;
  const range = isRecord(value) ? value["range"] : undefined;
  if (!Array.isArray(range)) return undefined;
  return port >= Number(range[0]) && port <= Number(range[1]);
}

/** What comes in is for an address of the host, what is passed on is not. */
function hasFib({ result, flags }: Statement, { value, packet }: Asked): Truth {
  if (result !== "type" || !list(flags).includes("daddr")) return undefined;
  const type = packet.to === undefined ? "local" : "unicast";
  return value === type;
}

/** The members of an anonymous set, or the one value. */
function list(values: unknown): readonly unknown[] {
  if (Array.isArray(values)) return values;
  if (isRecord(values) && Array.isArray(values["set"])) return values["set"].map(elementOf);
  return [values];
}

/** An element may carry a counter or a comment. */
function elementOf(value: unknown): unknown {
  return isRecord(value) && isRecord(value["elem"]) ? value["elem"]["val"] : value;
}
