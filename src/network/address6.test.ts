import { expect, test } from "bun:test";
import { bytes6, contains6, formatAddress6, overlap6, parseAddress6, parseSubnet6, type Subnet6 } from "./address6.ts";

const canonical = (text: string) => {
  const parsed = parseAddress6(text);
  return parsed === undefined ? undefined : formatAddress6(parsed);
};

test("addresses read and write as RFC 5952 has them", () => {
  const cases: Record<string, string | undefined> = {
    "::": "::",
    "::1": "::1",
    "FD00:0:0:0:0:0:0:1": "fd00::1",
    "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
    "::ffff:1.2.3.4": "::ffff:102:304",
    "fe80::1%eth0": undefined,
    "1.2.3.4": undefined,
    "fd00::1::2": undefined,
    "": undefined,
  };
  for (const [text, expected] of Object.entries(cases)) expect(canonical(text), text).toBe(expected);
});

test("subnets lose their host bits; what is no CIDR is none", () => {
  expect(parseSubnet6("fd00:1:2:3:4::5/64")).toEqual({ base: "fd00:1:2:3::", prefixLength: 64 });
  for (const text of ["fd00::", "fd00::/129", "fd00::/x", "10.0.0.0/8", "fd00::/64/1"])
    expect(parseSubnet6(text), text).toBeUndefined();
});

test("what lies in a subnet, and which overlap", () => {
  const [one, other, wide] = ["fd00:0:0:1::/64", "fd00:0:0:2::/64", "fd00::/48"].map(parseSubnet6) as Subnet6[];
  if (!one || !other || !wide) throw new Error("no subnets");
  expect(contains6(one, parseAddress6("fd00:0:0:1::ffff") ?? 0n)).toBe(true);
  expect(contains6(one, parseAddress6("fd00:0:0:2::") ?? 0n)).toBe(false);
  expect([overlap6(one, other), overlap6(one, wide), overlap6(wide, other)]).toEqual([false, true, true]);
});

test("sixteen bytes in network order", () => {
  expect(bytes6("fd00::1").toString("hex")).toBe("fd000000000000000000000000000001");
});
