import { describe, expect, test } from "bun:test";
import type { PortMap } from "../wire/mod.ts";
import {
  contains,
  formatAddress,
  formatSubnet,
  lastAddress,
  macOf,
  overlap,
  parseAddress,
  parseSubnet,
  type Subnet,
} from "./address.ts";
import { kernelNames } from "./context.ts";
import { bridgePools, checkPools, defaultPools, type Pool, Subnets } from "./pools.ts";
import { chosenPorts, portWishes, toPortMap } from "./ports.ts";

const subnet = (text: string) => parseSubnet(text) as Subnet;

describe("addresses", () => {
  test("are read and written", () => {
    for (const text of ["0.0.0.0", "172.17.0.2", "255.255.255.255"]) {
      expect(formatAddress(parseAddress(text) ?? -1)).toBe(text);
    }
    for (const bad of ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "010.0.0.1", "1.2.3.4 ", "a.b.c.d", "::1"]) {
      expect(parseAddress(bad)).toBeUndefined();
    }
  });

  test("make subnets", () => {
    expect(formatSubnet(subnet("10.1.2.3/16"))).toBe("10.1.0.0/16");
    expect(formatSubnet(subnet("200.1.2.3/0"))).toBe("0.0.0.0/0");
    expect(formatAddress(lastAddress(subnet("192.168.16.0/20")))).toBe("192.168.31.255");
    for (const bad of ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/x", "10.0.0.0/8/8", "/8"])
      expect(parseSubnet(bad)).toBeUndefined();
    expect(contains(subnet("10.0.0.0/8"), parseAddress("11.0.0.0") ?? 0)).toBe(false);
    expect(overlap(subnet("10.0.0.0/8"), subnet("10.200.0.0/24"))).toBe(true);
    expect(overlap(subnet("10.0.0.0/9"), subnet("10.128.0.0/9"))).toBe(false);
  });

  test("give MAC addresses as Docker does", () => {
    expect(macOf(parseAddress("172.17.0.2") ?? 0)).toBe("02:42:ac:11:00:02");
  });
});

describe("pools", () => {
  const taker = (pools: readonly Pool[], taken: readonly string[]) => {
    const subnets = new Subnets(pools);
    const others = taken.map(subnet);
    return (skip = 0) => {
      const takenTo = (candidate: Subnet) => {
        const found = others.find((other) => overlap(candidate, other));
        return found && lastAddress(found);
      };
      const picked = subnets.take(takenTo, skip);
      others.push(picked);
      return formatSubnet(picked);
    };
  };

  test("give the next subnet that overlaps nothing", () => {
    expect(taker(bridgePools, [])()).toBe("172.17.0.0/16");
    expect(taker(bridgePools, ["172.17.3.0/24", "172.18.0.0/15"])()).toBe("172.20.0.0/16");
    expect(taker(bridgePools, ["172.16.0.0/12"])(1)).toBe("192.168.16.0/20");
    const take = taker(defaultPools, ["172.18.1.0/25", "172.18.3.7/32"]);
    expect([take(), take(), take()]).toEqual(["172.18.0.0/24", "172.18.2.0/24", "172.18.4.0/24"]);
  });

  test("have room for thousands, and the rest of the private addresses comes last", () => {
    const take = taker(defaultPools, ["172.16.0.0/12", "192.168.0.0/17"]);
    const all = Array.from({ length: 200 }, () => take());
    expect([all[0], all[127], all[128]]).toEqual(["192.168.128.0/24", "192.168.255.0/24", "10.0.0.0/24"]);
    expect(new Set(all).size).toBe(200);
  });

  test("go round, so that a subnet just freed rests", () => {
    const subnets = new Subnets([{ base: "10.5.0.0/22", size: 24 }]);
    const taken = new Set<string>();
    const take = () => {
      const picked = subnets.take((one) => (taken.has(formatSubnet(one)) ? lastAddress(one) : undefined));
      taken.add(formatSubnet(picked));
      return formatSubnet(picked);
    };
    const first = take();
    taken.delete(first);
    expect([first, take(), take(), take(), take()]).toEqual([
      first,
      "10.5.1.0/24",
      "10.5.2.0/24",
      "10.5.3.0/24",
      first,
    ]);
    expect(take).toThrow("all predefined address pools have been fully subnetted");
  });

  test("come to an end, and are checked", () => {
    const pools = [{ base: "10.5.0.0/23", size: 24 }];
    expect(taker(pools, ["10.5.0.0/24"])(3)).toBe("10.5.1.0/24");
    expect(() => taker(pools, ["10.0.0.0/8"])()).toThrow("all predefined address pools have been fully subnetted");
    expect(() => checkPools([{ base: "x", size: 24 }])).toThrow("invalid address pool x of size 24");
    expect(() => checkPools([{ base: "10.0.0.0/24", size: 16 }])).toThrow("invalid address pool");
  });
});

describe("port bindings", () => {
  const wishes = (ports: PortMap) => portWishes(ports, { hostAddress: "0.0.0.0" });

  test("become wishes, the fixed ones first", () => {
    const found = wishes({
      "80/tcp": [
        { HostIp: "", HostPort: "" },
        { HostIp: "127.0.0.1", HostPort: "8000-8010" },
        { HostIp: "", HostPort: "8005" },
      ],
      "53/udp": [{ HostIp: "0.0.0.0", HostPort: "53" }],
      "443": [{ HostIp: "", HostPort: "443" }],
      "9000/tcp": null,
    });
    expect(
      found.map((wish) => `${wish.hostAddress}:${wish.first}-${wish.last}>${wish.containerPort}/${wish.protocol}`),
    ).toEqual([
      "0.0.0.0:443-443>443/tcp",
      "0.0.0.0:8005-8005>80/tcp",
      "0.0.0.0:53-53>53/udp",
      "0.0.0.0:0-0>80/tcp",
      "127.0.0.1:8000-8010>80/tcp",
    ]);
  });

  test.each([
    ["0/tcp", "", "1", "invalid port specification"],
    ["x/tcp", "", "1", "invalid port specification"],
    ["80/tcp/x", "", "1", "invalid port specification"],
    ["80/icmp", "", "1", "invalid proto: icmp"],
    ["80/sctp9", "", "1", "invalid proto: sctp9"],
    ["80/toString", "", "1", "invalid proto: toString"],
    ["80/tcp", "nonsense", "1", "invalid IP address: nonsense"],
    ["80/tcp", "::1", "1", "cannot publish on the IPv6 host address ::1"],
    ["80/tcp", "", "70000", "invalid port range"],
    ["80/tcp", "", "9-8", "invalid port range"],
    ["80/tcp", "", "0-8", "invalid port range"],
    ["80/tcp", "", "1-2-3", "invalid port range"],
    ["80/tcp", "", "http", "invalid port range"],
  ])("%s on %s:%s are refused", (key, HostIp, HostPort, message) => {
    expect(() => wishes({ [key]: [{ HostIp, HostPort }] })).toThrow(message);
  });

  test("take what they had before, where that is left open, and the others after that", () => {
    const asked: PortMap = {
      "80": [
        { HostIp: "", HostPort: "" },
        { HostIp: "", HostPort: "9000" },
        { HostIp: "", HostPort: "" },
        { HostIp: "127.0.0.1", HostPort: "8000-8010" },
        { HostIp: "", HostPort: "8000-8010" },
      ],
    };
    const made = [
      ...["9000", "32768", "32769", "8003"].map((HostPort) => ({ HostIp: "0.0.0.0", HostPort })),
      { HostIp: "127.0.0.1", HostPort: "8004" },
    ];
    const before = chosenPorts({ "80/tcp": asked["80"] ?? [] }, { "80/tcp": made, "81/tcp": made });
    expect(before).toEqual({ "80/tcp": made.slice(1) });
    const found = portWishes(asked, { hostAddress: "0.0.0.0" }, before);
    expect(found.map((wish) => `${wish.hostAddress}:${wish.first}-${wish.last} ${wish.before}`)).toEqual([
      "0.0.0.0:9000-9000 undefined",
      "0.0.0.0:0-0 32768",
      "0.0.0.0:0-0 32769",
      "127.0.0.1:8000-8010 8004",
      "0.0.0.0:8000-8010 8003",
    ]);
    const other = portWishes({ "80/tcp": [{ HostIp: "", HostPort: "7000-7001" }] }, { hostAddress: "0.0.0.0" }, before);
    expect(other[0]?.before).toBeUndefined();
  });

  test("are shown as Docker does", () => {
    const port = { protocol: "tcp", containerPort: 80, hostAddress: "0.0.0.0", hostPort: 8080 } as const;
    expect(toPortMap([port, { ...port, hostAddress: "127.0.0.1", hostPort: 81 }])).toEqual({
      "80/tcp": [
        { HostIp: "0.0.0.0", HostPort: "8080" },
        { HostIp: "127.0.0.1", HostPort: "81" },
      ],
    });
  });
});

test("names in the kernel fit into 15 bytes and never begin like another tag's", () => {
  const names = kernelNames("ab12cd");
  expect(names.veth("f".repeat(64))).toBe("veab12cd-ffffff");
  expect(names.bridge("f".repeat(64))).toHaveLength(15);
  expect(kernelNames("ab1").vethPrefix.startsWith(kernelNames("ab").vethPrefix)).toBe(false);
});
