import type { ElementChange } from "../host/mod.ts";
import { formatSubnet, parseAddress, type Subnet } from "./address.ts";
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
}

export interface NftPort extends PublishedPort {
  /** The container's address. */
  readonly address: string;
}

const everywhere = "0.0.0.0";

/**
 * The whole table for `nft -f -`, replacing the one that is there in one transaction. What each rule is for:
 * - guard: without it a container with NET_RAW reaches services on the host's 127.0.0.1 (route_localnet lets it in);
 * - forward: nobody outside a bridge opens a connection into it, except to a published port;
 * - postrouting: answers to the loopback, to a sibling and to the container itself come back the way they went; egress.
 *
 * nft 1.0.6 wants every statement on a line of its own before a closing brace.
 */
export function renderNftTable(state: NftState): string {
  const { table, networks } = state;
  const lines = [
    `table ip ${table}`,
    `delete table ip ${table}`,
    `table ip ${table} {`,
    ...map("any4", "inet_proto . inet_service", state.ports.filter(isAnywhere).map(anyElement)),
    ...map(
      "addr4",
      "ipv4_addr . inet_proto . inet_service",
      state.ports.filter((port) => !isAnywhere(port)).map((port) => `${port.hostAddress} . ${anyElement(port)}`),
    ),
    ...chain("publish", [
      "dnat to ip daddr . meta l4proto . th dport map @addr4",
      "dnat to meta l4proto . th dport map @any4",
    ]),
    ...chain("guard", ["type filter hook prerouting priority raw;", ...networks.map(guard)]),
    ...chain("prerouting", ["type nat hook prerouting priority dstnat;", "fib daddr type local jump publish"]),
    ...chain("output", ["type nat hook output priority -100;", "fib daddr type local jump publish"]),
    ...chain("forward", ["type filter hook forward priority filter;", ...networks.flatMap(forward)]),
    ...chain("postrouting", ["type nat hook postrouting priority srcnat;", ...networks.flatMap(postrouting)]),
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

/** The change of one element that publishes a port, or ends it. */
export function portElement(change: "add" | "delete", port: NftPort): ElementChange {
  const service = [...padded(Buffer.of(port.protocol === "tcp" ? 6 : 17)), ...padded(portBytes(port.hostPort))];
  const value = Buffer.concat([addressBytes(port.address), padded(portBytes(port.containerPort))]);
  return isAnywhere(port)
    ? { change, set: "any4", key: Buffer.from(service), value }
    : { change, set: "addr4", key: Buffer.from([...addressBytes(port.hostAddress), ...service]), value };
}

function isAnywhere(port: PublishedPort): boolean {
  return port.hostAddress === everywhere;
}

function anyElement(port: NftPort): string {
  return `${port.protocol} . ${port.hostPort} : ${port.address} . ${port.containerPort}`;
}

function map(name: string, key: string, elements: readonly string[]): string[] {
  const body = elements.length === 0 ? [] : ["elements = {", ...elements.map((element) => `\t${element},`), "}"];
  return block(`map ${name}`, [`type ${key} : ipv4_addr . inet_service`, ...body]);
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

function postrouting({ bridge, subnet, internal, masquerade }: NftNetwork): string[] {
  if (internal) return [];
  const net = formatSubnet(subnet);
  const egress = masquerade ? [`ip saddr ${net} oifname != "${bridge}" masquerade`] : [];
  return [
    `oifname "${bridge}" ip saddr 127.0.0.0/8 masquerade`,
    `ip saddr ${net} ip daddr ${net} ct status dnat masquerade`,
    ...egress,
  ];
}

function addressBytes(text: string): Buffer {
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
