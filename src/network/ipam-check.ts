import { EngineError } from "../errors/mod.ts";
import type { IpamPool } from "../wire/mod.ts";
import { contains, formatSubnet, overlap, parseAddress, parseSubnet, type Subnet } from "./address.ts";
import { contains6, formatSubnet6, overlap6, parseAddress6, parseSubnet6, type Subnet6 } from "./address6.ts";

/** Arithmetic of one kind of addresses. */
interface Family<S> {
  readonly name: "IPv4" | "IPv6";
  readonly subnet: (text: string) => S | undefined;
  readonly format: (subnet: S) => string;
  readonly overlap: (a: S, b: S) => boolean;
  readonly contains: (subnet: S, address: string) => boolean;
}

const four: Family<Subnet> = {
  name: "IPv4",
  subnet: parseSubnet,
  format: formatSubnet,
  overlap,
  contains: (subnet, text) => contains(subnet, parseAddress(text) ?? -1),
};
const six: Family<Subnet6> = {
  name: "IPv6",
  subnet: parseSubnet6,
  format: formatSubnet6,
  overlap: overlap6,
  contains: (subnet, text) => contains6(subnet, parseAddress6(text) ?? -1n),
};

/** Throws "invalid" with all that is wrong, in the words of Docker 28 (api/types/network). */
export function checkIpam(pools: readonly IpamPool[]): void {
  const wrong = pools.flatMap((pool) => problems(pool));
  if (wrong.length === 0) return;
  const list = wrong.length === 1 ? wrong : wrong.map((line) => `* ${line}`);
  throw new EngineError("invalid", `invalid network config:\n${list.join("\n")}`);
}

function problems(pool: IpamPool): string[] {
  const { Subnet = "" } = pool;
  return Subnet.includes(":") ? problemsIn(six, pool) : problemsIn(four, pool);
}

function problemsIn<S extends { readonly prefixLength: number }>(family: Family<S>, pool: IpamPool): string[] {
  const { Subnet: text = "", IPRange = "", Gateway = "", AuxiliaryAddresses = {} } = pool;
  const subnet = family.subnet(text);
  if (!subnet) return [`invalid subnet ${text}: invalid CIDR block notation`];
  const address = (what: string, value: string) => {
    const why = addressProblem(family, { subnet, value });
    return why === undefined ? [] : [`invalid ${what}: ${why}`];
  };
  return [
    ...hostBits(family, { what: "subnet", text, subnet }),
    ...(IPRange === "" ? [] : rangeProblems(family, { text: IPRange, subnet })),
    ...(Gateway === "" ? [] : address(`gateway ${Gateway}`, Gateway)),
    ...Object.entries(AuxiliaryAddresses).flatMap(([name, value]) => address(`auxiliary address ${name}`, value)),
  ];
}

function hostBits<S>(family: Family<S>, { what, text, subnet }: { what: string; text: string; subnet: S }): string[] {
  const canonical = family.format(subnet);
  const given = addressOf(text);
  return given === addressOf(canonical) || sameAddress(given, addressOf(canonical))
    ? []
    : [`invalid ${what} ${text}: it should be ${canonical}`];
}

function addressOf(cidr: string): string {
  return cidr.split("/")[0] ?? "";
}

/** IPv6 addresses have several spellings. */
function sameAddress(a: string, b: string): boolean {
  const [left, right] = [parseAddress6(a), parseAddress6(b)];
  return left !== undefined && left === right;
}

function rangeProblems<S extends { readonly prefixLength: number }>(
  family: Family<S>,
  { text, subnet }: { text: string; subnet: S },
): string[] {
  const other = family.name === "IPv4" ? parseSubnet6(text) : parseSubnet(text);
  if (other) return [`invalid ip-range ${text}: parent subnet is an ${family.name} block`];
  const range = family.subnet(text);
  if (!range) return [`invalid ip-range ${text}: invalid CIDR block notation`];
  const parent = family.format(subnet);
  return [
    ...(range.prefixLength < subnet.prefixLength
      ? [`invalid ip-range ${text}: CIDR block is bigger than its parent subnet ${parent}`]
      : []),
    ...hostBits(family, { what: "ip-range", text, subnet: range }),
    ...(family.overlap(subnet, range)
      ? []
      : [`invalid ip-range ${text}: parent subnet ${parent} doesn't contain ip-range`]),
  ];
}

function addressProblem<S>(family: Family<S>, { subnet, value }: { subnet: S; value: string }): string | undefined {
  const kind = parseAddress(value) !== undefined ? "IPv4" : parseAddress6(value) !== undefined ? "IPv6" : undefined;
  if (kind === undefined) return "invalid address";
  if (kind !== family.name) return `parent subnet is an ${family.name} block`;
  return family.contains(subnet, value)
    ? undefined
    : `parent subnet ${family.format(subnet)} doesn't contain this address`;
}
