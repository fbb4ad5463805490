import { isIPv6 } from "node:net";
import type { Subnet } from "./address.ts";

/** IPv6 arithmetic. An address is an unsigned 128-bit number, a stored one its canonical text (RFC 5952). */
export interface Subnet6 {
  /** The first address; no host bits set. */
  readonly base: string;
  readonly prefixLength: number;
}

/** Undefined for what is no IPv6 address, or has a zone. */
export function parseAddress6(text: string): bigint | undefined {
  if (!isIPv6(text) || text.includes("%")) return undefined;
  const plain = text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [left = "", right] = plain.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const [head, tail] = [groups(left), groups(right ?? "")];
  const all = [...head, ...Array<string>(8 - head.length - tail.length).fill("0"), ...tail];
  return all.reduce((sum, group) => (sum << 16n) | BigInt(Number.parseInt(group, 16)), 0n);
}

/** RFC 5952: lower case, no leading zeros, the longest run of at least two zero groups as "::". */
export function formatAddress6(address: bigint): string {
  const groups = Array.from({ length: 8 }, (_, at) => ((address >> BigInt(112 - at * 16)) & 0xffffn).toString(16));
  const runs = [
    ...groups
      .map((group) => (group === "0" ? "0" : "x"))
      .join("")
      .matchAll(/0{2,}/g),
  ];
  const longest = runs.toSorted((a, b) => b[0].length - a[0].length)[0];
  if (!longest) return groups.join(":");
  const left = groups.slice(0, longest.index).join(":");
  const right = groups.slice(longest.index + longest[0].length).join(":");
  return `${left}::${right}`;
}

/** Host bits are cleared, as for IPv4; undefined when it is not CIDR. */
export function parseSubnet6(text: string): Subnet6 | undefined {
  const [address = "", length = "", ...rest] = text.split("/");
  const parsed = parseAddress6(address);
  if (parsed === undefined || rest.length > 0 || !/^\d{1,3}$/.test(length) || Number(length) > 128) return undefined;
  const prefixLength = Number(length);
  return { base: formatAddress6(parsed & ~hostMask(prefixLength)), prefixLength };
}

export function isSix(subnet: Subnet | Subnet6): subnet is Subnet6 {
  return typeof subnet.base === "string";
}

export function formatSubnet6({ base, prefixLength }: Subnet6): string {
  return `${base}/${prefixLength}`;
}

export function contains6(subnet: Subnet6, address: bigint): boolean {
  return address >= first6(subnet) && address <= last6(subnet);
}

export function overlap6(a: Subnet6, b: Subnet6): boolean {
  return first6(a) <= last6(b) && first6(b) <= last6(a);
}

export function first6({ base }: Subnet6): bigint {
  return parseAddress6(base) ?? 0n;
}

export function last6(subnet: Subnet6): bigint {
  return first6(subnet) | hostMask(subnet.prefixLength);
}

/** The first address of a subnet is the routers' anycast address (RFC 4291, 2.6.1), but of one with one or two (RFC 6164). */
export function firstHost6(subnet: Subnet6): bigint {
  return first6(subnet) + (subnet.prefixLength < 127 ? 1n : 0n);
}

export function bytes6(address: string): Buffer {
  return Buffer.from((parseAddress6(address) ?? 0n).toString(16).padStart(32, "0"), "hex");
}

function hostMask(prefixLength: number): bigint {
  return (1n << BigInt(128 - prefixLength)) - 1n;
}
