import { describe, expect, test } from "bun:test";
import type { Ipam, IpamPool } from "../wire/mod.ts";
import { formatAddress } from "./address.ts";
import { addressChoices, ipamOf } from "./ipam.ts";

const choose = (Config: readonly IpamPool[], more: Partial<Parameters<typeof addressChoices>[0]> = {}) =>
  addressChoices({ ipam: { Config }, driver: "bridge", six: true, gateway: true, ...more });
const gatewayOf = (pool: IpamPool, gateway = true) => {
  const { pool: four, six } = choose([pool], { gateway });
  return four?.gateway === undefined ? six?.gateway : formatAddress(four.gateway);
};

describe("what a request says of addresses", () => {
  test("leaves the rest to be chosen", () => {
    expect(choose([])).toEqual({});
    expect(choose([{ Subnet: "", Gateway: "" }])).toEqual({});
    expect(addressChoices({ ipam: undefined, driver: "bridge", six: false, gateway: true })).toEqual({});
  });

  test.each([
    [{ Subnet: "10.1.0.0/16" }, "10.1.0.1"],
    [{ Subnet: "10.1.0.0/16", IPRange: "10.1.5.0/24" }, "10.1.5.0"],
    [{ Subnet: "10.1.0.0/16", IPRange: "10.1.0.0/24" }, "10.1.0.1"],
    [{ Subnet: "10.1.0.0/16", Gateway: "10.1.255.254" }, "10.1.255.254"],
    [{ Subnet: "10.1.0.2/31" }, "10.1.0.2"],
    [{ Subnet: "10.1.0.7/32" }, "10.1.0.7"],
    [{ Subnet: "fd00:1::/64" }, "fd00:1::1"],
    [{ Subnet: "fd00:1::/64", IPRange: "fd00:1::8000/120" }, "fd00:1::8000"],
    [{ Subnet: "fd00:1::2/127" }, "fd00:1::2"],
    [{ Subnet: "fd00:1::/64", Gateway: "fd00:1:0:0::9" }, "fd00:1::9"],
  ])("%p has the gateway %s", (pool, gateway) => {
    expect(gatewayOf(pool)).toBe(gateway);
  });

  test("has no gateway where none is needed, unless it is asked for", () => {
    expect(gatewayOf({ Subnet: "10.1.0.0/16" }, false)).toBeUndefined();
    expect(gatewayOf({ Subnet: "10.1.0.0/16", Gateway: "10.1.0.9" }, false)).toBe("10.1.0.9");
    expect(gatewayOf({ Subnet: "fd00::/64" }, false)).toBeUndefined();
  });

  test.each<[IpamPool, string]>([
    [{ Subnet: "nonsense" }, "invalid subnet nonsense: invalid CIDR block notation"],
    [{ Gateway: "10.1.0.1" }, "invalid subnet : invalid CIDR block notation"],
    [{ Subnet: "10.1.2.3/16" }, "invalid subnet 10.1.2.3/16: it should be 10.1.0.0/16"],
    [{ Subnet: "fd00::1/64" }, "invalid subnet fd00::1/64: it should be fd00::/64"],
    [{ Subnet: "10.1.0.0/16", IPRange: "x" }, "invalid ip-range x: invalid CIDR block notation"],
    [{ Subnet: "10.1.0.0/16", IPRange: "fd00::/64" }, "invalid ip-range fd00::/64: parent subnet is an IPv4 block"],
    [{ Subnet: "fd00::/64", IPRange: "10.0.0.0/8" }, "invalid ip-range 10.0.0.0/8: parent subnet is an IPv6 block"],
    [
      { Subnet: "10.1.0.0/16", IPRange: "10.0.0.0/8" },
      "invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 10.1.0.0/16",
    ],
    [{ Subnet: "10.1.0.0/16", IPRange: "10.1.2.3/24" }, "invalid ip-range 10.1.2.3/24: it should be 10.1.2.0/24"],
    [
      { Subnet: "10.1.0.0/16", IPRange: "10.2.0.0/24" },
      "invalid ip-range 10.2.0.0/24: parent subnet 10.1.0.0/16 doesn't contain ip-range",
    ],
    [{ Subnet: "10.1.0.0/16", Gateway: "x" }, "invalid gateway x: invalid address"],
    [{ Subnet: "10.1.0.0/16", Gateway: "fd00::1" }, "invalid gateway fd00::1: parent subnet is an IPv4 block"],
    [
      { Subnet: "10.1.0.0/16", Gateway: "10.2.0.1" },
      "invalid gateway 10.2.0.1: parent subnet 10.1.0.0/16 doesn't contain this address",
    ],
    [
      { Subnet: "fd00::/64", AuxiliaryAddresses: { host: "fd01::1" } },
      "invalid auxiliary address host: parent subnet fd00::/64 doesn't contain this address",
    ],
  ])("%p is refused in docker's words", (pool, words) => {
    expect(() => choose([pool])).toThrow(`invalid network config:\n${words}`);
  });

  test("is told all that is wrong at once", () => {
    const both = { Subnet: "10.1.2.0/16", Gateway: "x" };
    expect(() => choose([both])).toThrow(
      "invalid network config:\n* invalid subnet 10.1.2.0/16: it should be 10.1.0.0/16\n* invalid gateway x: invalid address",
    );
  });

  test.each<[IpamPool, string]>([
    [{ Subnet: "10.1.0.0/16", Gateway: "10.1.0.0" }, "failed to allocate gateway (10.1.0.0): Address already in use"],
    [{ Subnet: "10.1.0.0/16", Gateway: "10.1.255.255" }, "failed to allocate gateway"],
    [{ Subnet: "fd00::/64", Gateway: "fd00::" }, "failed to allocate gateway (fd00::)"],
    [
      { Subnet: "10.1.0.0/16", AuxiliaryAddresses: { me: "10.1.0.1" } },
      "failed to allocate secondary ip address (me:10.1.0.1): Address already in use",
    ],
  ])("%p wants an address that nobody can have", (pool, words) => {
    expect(() => choose([pool])).toThrow(words);
  });

  test("is one subnet of each kind, of a kind that is enabled, by the default driver", () => {
    const two = [{ Subnet: "10.1.0.0/16" }, { Subnet: "10.2.0.0/16" }];
    expect(() => choose(two)).toThrow("bridge driver doesn't support multiple subnets");
    expect(() => choose(two, { driver: "macvlan" })).toThrow("several subnets of a kind in a macvlan network");
    expect(() => choose([{ Subnet: "fd00::/64" }], { six: false })).toThrow("IPv6 is not enabled in the network");
    const by = (ipam: Partial<Ipam>) => () => choose([], { ipam });
    expect(by({ Driver: "null" })).toThrow("ipv4 pool is empty");
    expect(by({ Driver: "dhcp" })).toThrow('plugin "dhcp" not found');
    expect(by({ Options: { a: "b" } })).toThrow("IPAM option a is not implemented");
  });
});

test("inspect shows what was given, and what was chosen", () => {
  const body = { Config: [{ Subnet: "10.1.0.0/16", IPRange: "10.1.5.0/24" }, { Subnet: "fd00::/64" }] };
  const { pool, six } = choose(body.Config);
  if (!pool) throw new Error("no subnet");
  expect(ipamOf(body, { ...pool, ...(six && { six }) })).toEqual({
    Driver: "default",
    Options: {},
    Config: [
      { Subnet: "10.1.0.0/16", IPRange: "10.1.5.0/24", Gateway: "10.1.5.0" },
      { Subnet: "fd00::/64", Gateway: "fd00::1" },
    ],
  });
});
