import { type NetworkSet, networkElements } from "./network-elements.ts";
import {
  type FamilyName,
  familiesOf,
  familyOf,
  isAnywhere,
  type NftNetwork,
  type NftPort,
  type NftState,
} from "./state.ts";

/** What differs between the two kinds of addresses. */
interface Family {
  readonly name: FamilyName;
  /** Behind the names of the maps. */
  readonly digit: 4 | 6;
  readonly addressType: string;
  /** Packets for the host itself that may be published ports. [::1] cannot be led elsewhere: left alone it refuses at once, and clients go on to 127.0.0.1. */
  readonly output: string;
}

const four: Family = {
  ...{ name: "ip", digit: 4, addressType: "ipv4_addr" },
  output: "fib daddr type local jump publish",
};
const six: Family = {
  ...{ name: "ip6", digit: 6, addressType: "ipv6_addr" },
  output: "ip6 daddr != ::1 fib daddr type local jump publish",
};

/**
 * The whole table for `nft -f -`, replacing the one that is there in one transaction, and the one of IPv6 where a network
 * has it: for the start and for repairs. Networks and ports are elements of sets and maps, which change one by one
 * (network-elements.ts, port-elements.ts); the rules are always the same, so a packet passes no more of them when there
 * are a thousand networks. What each is for:
 * - guard: without it a container with NET_RAW reaches services on the host's 127.0.0.1 (route_localnet lets it in);
 * - forward: nobody outside a bridge opens a connection into it, except to a published port, or where the network is open
 *   or trusts the link; nothing at all crosses the border of an internal network;
 * - postrouting: answers to the loopback, to a sibling and to the container itself come back the way they went (which is
 *   seen by addresses, because br_netfilter tells no interface of arrival here); egress.
 *
 * nft 1.0.6 wants every statement on a line of its own before a closing brace.
 */
export function renderNftTable(state: NftState): string {
  const hasSix = state.networks.some((network) => familiesOf(network).includes("ip6"));
  return [...tableOf(four, state), ...(hasSix ? tableOf(six, state) : [])].map((line) => `${line}\n`).join("");
}

function tableOf(family: Family, { table, networks: all, ports }: NftState): string[] {
  const { name } = family;
  const networks = all.filter((network) => familiesOf(network).includes(name));
  return [
    `table ${name} ${table}`,
    `delete table ${name} ${table}`,
    `table ${name} ${table} {`,
    ...networkSets(family, networks),
    ...portMaps(
      family,
      ports.filter((port) => familyOf(port) === name),
    ),
    ...chains(family),
    "}",
  ];
}

function networkSets(family: Family, networks: readonly NftNetwork[]): string[] {
  const types: Readonly<Record<NetworkSet, readonly string[]>> = {
    bridges: ["type ifname"],
    internal: ["type ifname"],
    within: ["type ifname . ifname"],
    open: ["type ifname"],
    subnets: [`type ${family.addressType} . ifname`, "flags interval"],
    masqueraded: [`type ${family.addressType}`, "flags interval"],
  };
  const all = networks.flatMap((network) => networkElements(family.name, network));
  return Object.entries(types).flatMap(([set, head]) => {
    const elements = all.flatMap(([name, element]) => (name === set ? [element] : []));
    return block(`set ${set}`, [...head, ...elementsOf(elements)]);
  });
}

function portMaps({ digit, addressType }: Family, ports: readonly NftPort[]): string[] {
  const key = "inet_proto . inet_service";
  const value = `${addressType} . inet_service`;
  const anywhere = ports.filter(isAnywhere).map(anyElement);
  const somewhere = ports
    .filter((port) => !isAnywhere(port))
    .map((port) => `${port.hostAddress} . ${anyElement(port)}`);
  return [
    ...block(`map any${digit}`, [`type ${key} : ${value}`, ...elementsOf(anywhere)]),
    ...block(`map addr${digit}`, [`type ${addressType} . ${key} : ${value}`, ...elementsOf(somewhere)]),
  ];
}

function anyElement(port: NftPort): string {
  return `${port.protocol} . ${port.hostPort} : ${port.address} . ${port.containerPort}`;
}

function chains({ name, digit, output }: Family): string[] {
  const guard = ["type filter hook prerouting priority raw;", "iifname @bridges ip daddr 127.0.0.0/8 drop"];
  return [
    ...block("chain publish", [
      `dnat to ${name} daddr . meta l4proto . th dport map @addr${digit}`,
      `dnat to meta l4proto . th dport map @any${digit}`,
    ]),
    ...(name === "ip" ? block("chain guard", guard) : []),
    ...block("chain prerouting", ["type nat hook prerouting priority dstnat;", "fib daddr type local jump publish"]),
    ...block("chain output", ["type nat hook output priority -100;", output]),
    ...block("chain forward", [
      "type filter hook forward priority filter;",
      "iifname . oifname @within accept",
      "iifname @internal drop",
      "oifname @internal drop",
      "oifname @open accept",
      "oifname @bridges ct state new ct status & dnat == 0 drop",
    ]),
    ...block("chain postrouting", [
      "type nat hook postrouting priority srcnat;",
      ...(name === "ip" ? ["oifname @bridges ip saddr 127.0.0.0/8 masquerade"] : []),
      `${name} saddr . oifname @subnets ct status dnat masquerade`,
      `${name} saddr . oifname @subnets accept`,
      `${name} saddr @masqueraded masquerade`,
    ]),
  ];
}

function elementsOf(elements: readonly string[]): string[] {
  return elements.length === 0 ? [] : ["elements = {", ...elements.map((element) => `\t${element},`), "}"];
}

function block(head: string, body: readonly string[]): string[] {
  return [`\t${head} {`, ...body.map((line) => `\t\t${line}`), "\t}"];
}
