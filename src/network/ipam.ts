import { EngineError } from "../errors/mod.ts";
import type { Ipam, IpamPool } from "../wire/mod.ts";
import {
  contains,
  firstHost,
  formatAddress,
  formatSubnet,
  lastHost,
  parseAddress,
  parseSubnet,
  type Subnet,
} from "./address.ts";
import {
  contains6,
  first6,
  firstHost6,
  formatAddress6,
  formatSubnet6,
  parseAddress6,
  parseSubnet6,
  type Subnet6,
} from "./address6.ts";
import { checkIpam } from "./ipam-check.ts";
import type { LegSettings, SixSettings } from "./settings.ts";

/** What a create request says of addresses; the rest is chosen. */
export interface AddressChoices {
  readonly pool?: Pick<LegSettings, "subnet" | "range" | "gateway" | "reserved">;
  readonly six?: SixSettings;
}

interface AddressRequest {
  readonly ipam: Partial<Ipam> | undefined;
  readonly driver: string;
  /** IPv6 is enabled. */
  readonly six: boolean;
  /** Is there an address of the network that leads out of it, unless one is asked for? */
  readonly gateway: boolean;
}

/** One subnet of each kind at most. Throws "invalid" and "forbidden" in Docker's words. */
export function addressChoices(request: AddressRequest): AddressChoices {
  const { ipam, driver, six } = request;
  checkDriver(ipam);
  const pools = (ipam?.Config ?? []).filter((pool) => Object.values(pool).some((value) => value !== ""));
  checkIpam(pools);
  const [four, more] = pools.filter((pool) => !isSixPool(pool));
  const [pool6, more6] = pools.filter(isSixPool);
  if (more || more6) throw severalSubnets(driver);
  if (pool6 && !six) {
    throw new EngineError("invalid", `IPv6 subnet ${pool6.Subnet} given, but IPv6 is not enabled in the network`);
  }
  return {
    ...(four && { pool: fourOf(four, request.gateway) }),
    ...(pool6 && { six: sixOf(pool6, request.gateway) }),
  };
}

/** As the answer to inspect has it. */
export function ipamOf(body: Partial<Ipam> | undefined, legs: Pick<LegSettings, "subnet" | "gateway" | "six">): Ipam {
  const given = (six: boolean) => body?.Config?.find((pool) => isSixPool(pool) === six) ?? {};
  const { six } = legs;
  const Config = [
    {
      ...given(false),
      Subnet: formatSubnet(legs.subnet),
      ...(legs.gateway !== undefined && { Gateway: formatAddress(legs.gateway) }),
    },
    ...(six
      ? [
          {
            ...given(true),
            Subnet: formatSubnet6(six.subnet),
            ...(six.gateway !== undefined && { Gateway: six.gateway }),
          },
        ]
      : []),
  ];
  return { Driver: body?.Driver || "default", Options: body?.Options ?? {}, Config };
}

function isSixPool({ Subnet = "" }: IpamPool): boolean {
  return Subnet.includes(":");
}

function checkDriver(ipam: Partial<Ipam> | undefined): void {
  const driver = ipam?.Driver || "default";
  if (driver === "null") throw new EngineError("invalid", "ipv4 pool is empty");
  if (driver !== "default") throw new EngineError("not-found", `plugin "${driver}" not found`);
  const [key] = Object.keys(ipam?.Options ?? {});
  if (key !== undefined) throw new EngineError("not-implemented", `IPAM option ${key} is not implemented`);
}

function severalSubnets(driver: string): EngineError {
  if (driver === "bridge") return new EngineError("forbidden", "bridge driver doesn't support multiple subnets");
  return new EngineError("not-implemented", `several subnets of a kind in a ${driver} network are not implemented`);
}

/** The text has been checked. */
function fourOf(pool: IpamPool, needsGateway: boolean): NonNullable<AddressChoices["pool"]> {
  const subnet = checked(parseSubnet(pool.Subnet ?? ""));
  const range = pool.IPRange ? checked(parseSubnet(pool.IPRange)) : subnet;
  const first = needsGateway ? Math.max(range.base, firstHost(subnet)) : undefined;
  const gateway = pool.Gateway ? host(subnet, pool.Gateway, "gateway") : first;
  const auxiliary = Object.entries(pool.AuxiliaryAddresses ?? {});
  const reserved = auxiliary.map(([name, text]) => {
    const address = host(subnet, text, "secondary ip address", `${name}:${text}`);
    if (address !== gateway) return address;
    throw taken("secondary ip address", `${name}:${text}`);
  });
  return { subnet, range, reserved, ...(gateway !== undefined && { gateway }) };
}

function sixOf(pool: IpamPool, needsGateway: boolean): SixSettings {
  const subnet = checked(parseSubnet6(pool.Subnet ?? ""));
  const range = pool.IPRange ? checked(parseSubnet6(pool.IPRange)) : subnet;
  const inRange = contains6(range, firstHost6(subnet)) ? firstHost6(subnet) : first6(range);
  const first = needsGateway ? formatAddress6(inRange) : undefined;
  const gateway = pool.Gateway ? host6(subnet, pool.Gateway, "gateway") : first;
  const auxiliary = Object.entries(pool.AuxiliaryAddresses ?? {});
  const reserved = auxiliary.map(([name, text]) => host6(subnet, text, "secondary ip address", `${name}:${text}`));
  return { subnet, range, reserved, ...(gateway !== undefined && { gateway }) };
}

function host(subnet: Subnet, text: string, what: string, shown = text): number {
  const address = parseAddress(text);
  if (address !== undefined && contains(subnet, address) && address >= firstHost(subnet) && address <= lastHost(subnet))
    return address;
  throw taken(what, shown);
}

function host6(subnet: Subnet6, text: string, what: string, shown = text): string {
  const address = parseAddress6(text);
  if (address !== undefined && contains6(subnet, address) && address >= firstHost6(subnet))
    return formatAddress6(address);
  throw taken(what, shown);
}

/** The first and the last address of a subnet are nobody's, which Docker says so. */
function taken(what: string, shown: string): EngineError {
  return new EngineError("forbidden", `failed to allocate ${what} (${shown}): Address already in use`);
}

function checked<T>(value: T | undefined): T {
  if (value !== undefined) return value;
  throw new EngineError("internal", "a subnet that has been checked is none");
}
