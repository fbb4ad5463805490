import type { ElementChange } from "../host/mod.ts";
import { formatSubnet, parseAddress, type Subnet } from "./address.ts";
import { bytes6, formatSubnet6, type Subnet6 } from "./address6.ts";
import type { PublishedPort } from "./ports.ts";

/** All that the nft table says. */
export interface NftState {
  readonly table: string;
  readonly networks: readonly NftNetwork[];
  readonly ports: readonly NftPort[];
}

export interface NftNetwork {
  readonly bridge: string;
  readonly subnet: Subnet;
  readonly internal: boolean;
  readonly masquerade: boolean;
  readonly subnet6?: Subnet6;
}

export interface NftPort extends PublishedPort {
  /** The container's address, of the kind that it is published on. */
  readonly address: string;
}

/** What differs between the two kinds of addresses. */
interface Family {
  readonly name: "ip" | "ip6";
  /** Behind the names of the maps. */
  readonly digit: 4 | 6;
  readonly addressType: string;
  /** Packets for the host itself that may be published ports. [::1] cannot be led elsewhere: left alone it refuses at once, and clients go on to 127.0.0.1. */
  readonly output: string;
  readonly everywhere: string;
}

const four: Family = {
  ...{ name: "ip", digit: 4, addressType: "ipv4_addr", everywhere: "0.0.0.0" },
  output: "fib daddr type local jump publish",
};
const six: Family = {
  ...{ name: "ip6", digit: 6, addressType: "ipv6_addr", everywhere: "::" },
  output: "ip6 daddr != ::1 fib daddr type local jump publish",
};

/**
 * The whole table for `nft -f -`, replacing the one that is there in one transaction, and the one of IPv6 where a network
 * has it. What each rule is for:
 * - guard: without it a container with NET_RAW reaches services on the host's 127.0.0.1 (route_localnet lets it in);
 * - forward: nobody outside a bridge opens a connection into it, except to a published port;
 * - postrouting: answers to the loopback, to a sibling and to the container itself come back the way they went; egress.
 *
 * nft 1.0.6 wants every statement on a line of its own before a closing brace.
 */
export function renderNftTable(state: NftState): string {
  const hasSix = state.networks.some(({ subnet6 }) => subnet6);
  return [...tableOf(four, state), ...(hasSix ? tableOf(six, state) : [])].map((line) => `${line}\n`).join("");
}

function tableOf(family: Family, { table, networks: all, ports }: NftState): string[] {
  const networks = family === four ? all : all.filter(({ subnet6 }) => subnet6);
  const own = ports.filter(({ hostAddress }) => hostAddress.includes(":") === (family === six));
  const { name, digit, addressType } = family;
  return [
    `table ${name} ${table}`,
    `delete table ${name} ${table}`,
    `table ${name} ${table} {`,
    ...map(family, {
      prefix: "any",
      key: "inet_proto . inet_service",
      elements: own.filter(isAnywhere).map(anyElement),
    }),
    ...map(family, {
      prefix: "addr",
      key: `${addressType} . inet_proto . inet_service`,
      elements: own.filter((port) => !isAnywhere(port)).map((port) => `${port.hostAddress} . ${anyElement(port)}`),
    }),
    ...chain("publish", [
      `dnat to ${name} daddr . meta l4proto . th dport map @addr${digit}`,
      `dnat to meta l4proto . th dport map @any${digit}`,
    ]),
    ...(family === four ? chain("guard", ["type filter hook prerouting priority raw;", ...networks.map(guard)]) : []),
    ...chain("prerouting", ["type nat hook prerouting priority dstnat;", "fib daddr type local jump publish"]),
    ...chain("output", ["type nat hook output priority -100;", family.output]),
    ...chain("forward", ["type filter hook forward priority filter;", ...networks.flatMap(forward)]),
    ...chain("postrouting", [
      "type nat hook postrouting priority srcnat;",
      ...networks.flatMap((network) => postrouting(family, network)),
    ]),
    "}",
  ];
}

/** The change of one element that publishes a port, or ends it. */
export function portElement(change: "add" | "delete", port: NftPort): ElementChange {
  const service = [...padded(Buffer.of(port.protocol === "tcp" ? 6 : 17)), ...padded(portBytes(port.hostPort))];
  const value = Buffer.concat([addressBytes(port.address), padded(portBytes(port.containerPort))]);
  const digit = port.hostAddress.includes(":") ? 6 : 4;
  return isAnywhere(port)
    ? { change, set: `any${digit}`, key: Buffer.from(service), value }
    : { change, set: `addr${digit}`, key: Buffer.from([...addressBytes(port.hostAddress), ...service]), value };
}

function isAnywhere(port: PublishedPort): boolean {
  return port.hostAddress === four.everywhere || port.hostAddress === six.everywhere;
}

function anyElement(port: NftPort): string {
  return `${port.protocol} . ${port.hostPort} : ${port.address} . ${port.containerPort}`;
}

interface MapOf {
  readonly prefix: "any" | "addr";
  readonly key: string;
  readonly elements: readonly string[];
}

function map({ digit, addressType }: Family, { prefix, key, elements }: MapOf): string[] {
  const body = elements.length === 0 ? [] : ["elements = {", ...elements.map((element) => `\t${element},`), "}"];
  return block(`map ${prefix}${digit}`, [`type ${key} : ${addressType} . inet_service`, ...body]);
}

function chain(name: string, rules: readonly string[]): string[] {
  return block(`chain ${name}`, rules);
}

function block(head: string, body: readonly string[]): string[] {
  return [`\t${head} {`, ...body.map((line) => `\t\t${line}`), "\t}"];
}

function guard({ bridge }: NftNetwork): string {
  return `iifname "${bridge}" ip daddr 127.0.0.0/8 drop`;
}

function forward({ bridge, internal }: NftNetwork): string[] {
  if (internal)
    return [`iifname "${bridge}" oifname != "${bridge}" drop`, `iifname != "${bridge}" oifname "${bridge}" drop`];
  return [`iifname != "${bridge}" oifname "${bridge}" ct state new ct status & dnat == 0 drop`];
}

function postrouting({ name }: Family, { bridge, subnet, subnet6, internal, masquerade }: NftNetwork): string[] {
  if (internal) return [];
  const net = name === "ip6" && subnet6 ? formatSubnet6(subnet6) : formatSubnet(subnet);
  const egress = masquerade ? [`${name} saddr ${net} oifname != "${bridge}" masquerade`] : [];
  return [
    ...(name === "ip" ? [`oifname "${bridge}" ip saddr 127.0.0.0/8 masquerade`] : []),
    `${name} saddr ${net} ${name} daddr ${net} ct status dnat masquerade`,
    ...egress,
  ];
}

function addressBytes(text: string): Buffer {
  if (text.includes(":")) return bytes6(text);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(parseAddress(text) ?? 0);
  return bytes;
}

function portBytes(port: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(port);
  return bytes;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(4 - bytes.length)]);
}
