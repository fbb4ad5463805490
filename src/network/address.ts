/** IPv4 arithmetic. An address is an unsigned 32-bit number. */
export interface Subnet {
  /** The first address; no host bits set. */
  readonly base: number;
  readonly prefixLength: number;
}

/** Strict dotted decimal; undefined for anything else (also for "010.0.0.1", which C libraries read as octal). */
export function parseAddress(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** "10.1.2.3/16" is the subnet 10.1.0.0/16, as Docker takes it; undefined when it is not CIDR. */
export function parseSubnet(text: string): Subnet | undefined {
  const [address = "", length = "", ...rest] = text.split("/");
  const parsed = parseAddress(address);
  if (parsed === undefined || rest.length > 0 || !/^\d{1,2}$/.test(length) || Number(length) > 32) return undefined;
  return subnetOf(parsed, Number(length));
}

export function subnetOf(address: number, prefixLength: number): Subnet {
  const size = 2 ** (32 - prefixLength);
  return { base: Math.floor(address / size) * size, prefixLength };
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(subnet.base)}/${subnet.prefixLength}`;
}

/** The last address; of a subnet with hosts it is the broadcast address. */
export function lastAddress(subnet: Subnet): number {
  return subnet.base + 2 ** (32 - subnet.prefixLength) - 1;
}

/** What hosts can have: all but the first and the last, and both of a subnet of one or two (RFC 3021). */
export function firstHost(subnet: Subnet): number {
  return subnet.prefixLength < 31 ? subnet.base + 1 : subnet.base;
}

export function lastHost(subnet: Subnet): number {
  return lastAddress(subnet) - (subnet.prefixLength < 31 ? 1 : 0);
}

export function contains(subnet: Subnet, address: number): boolean {
  return address >= subnet.base && address <= lastAddress(subnet);
}

export function overlap(a: Subnet, b: Subnet): boolean {
  return a.base <= lastAddress(b) && b.base <= lastAddress(a);
}

/** Docker's scheme: locally administered, then the four bytes of the address, so neighbours' caches stay true. */
export function macOf(address: number): string {
  return ["02", "42", ...[24, 16, 8, 0].map((shift) => ((address >>> shift) & 255).toString(16).padStart(2, "0"))].join(
    ":",
  );
}
