import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { EndpointConfig, NetworkCreateBody } from "../wire/mod.ts";
import { inside, leftovers, type Machine, openMachine } from "./testing/fixture.ts";

let machine: Machine;
beforeEach(async () => {
  machine = await openMachine();
  await machine.networks.openSandbox("a");
});
afterEach(async () => {
  await machine.end();
  expect(await leftovers(machine)).toEqual([]);
});

const rest = { Attachable: false, Ingress: false, ConfigOnly: false, Internal: false, Labels: {}, Options: {} };
const create = (Name: string, more: Partial<NetworkCreateBody> = {}) =>
  machine.networks.create({ Name, Driver: "bridge", ...rest, ...more });
const connect = (network: string, config: EndpointConfig = {}) =>
  machine.networks.connect(network, { holder: "a", name: "a", config });
const shown = async (...argv: string[]) => (await inside(machine, "a", ...argv)).stdout;
const subnet = (Subnet: string) => ({ IPAM: { Config: [{ Subnet }] } });

describe("an endpoint", () => {
  test("has the interface's name, sysctls and link-local addresses that are asked for", async () => {
    await create("one", { EnableIPv6: true });
    const config: EndpointConfig = {
      IPAMConfig: { LinkLocalIPs: ["169.254.9.9", "fe80::99"] },
      DriverOpts: {
        "com.docker.network.endpoint.ifname": "app0",
        "com.docker.network.endpoint.sysctls":
          "net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.neigh.ifname.gc_stale_time=77,net.ipv6.conf.IFNAME.accept_ra=2",
      },
    };
    const endpoint = await connect("one", config);
    expect(endpoint.config).toEqual(config);
    const addresses = await shown("ip", "addr", "show", "app0");
    for (const text of [endpoint.address, "169.254.9.9/16", "fe80::99/64"]) expect(addresses).toContain(text);
    const values = ["ipv4/conf/app0/log_martians", "ipv4/neigh/app0/gc_stale_time", "ipv6/conf/app0/accept_ra"];
    expect(await shown("cat", ...values.map((path) => `/proc/sys/net/${path}`))).toBe("1\n77\n2\n");
    await create("two");
    const again = { DriverOpts: { "com.docker.network.endpoint.ifname": "app0" } };
    await expect(connect("two", again)).rejects.toMatchObject({
      kind: "conflict",
      message: expect.stringContaining("app0"),
    });
    await connect("two");
    expect(await shown("ip", "link")).toContain("eth0");
  });

  test("is called as its network says", async () => {
    await create("one", { Options: { "com.docker.network.container_iface_prefix": "lan" } });
    await connect("one");
    expect(await shown("ip", "route")).toContain("dev lan0");
  });

  test("leads out of the container by its priority, and the next one does when it goes", async () => {
    await create("hidden", { Internal: true });
    for (const name of ["one", "two", "high"]) await create(name, { EnableIPv6: name === "two" });
    const way = async () => /default via (\S+) dev (\S+)/.exec(await shown("ip", "route"))?.slice(1);
    await connect("hidden", { GwPriority: 9 });
    expect(await way()).toBeUndefined();
    const one = await connect("one");
    expect(await way()).toEqual([one.gateway, "eth1"]);
    const two = await connect("two");
    expect(await way()).toEqual([one.gateway, "eth1"]);
    expect(await shown("ip", "-6", "route")).toContain(`default via ${two.gateway6} dev eth2`);
    const high = await connect("high", { GwPriority: 1 });
    expect(await way()).toEqual([high.gateway, "eth3"]);
    await machine.networks.disconnect("one", "a");
    expect(await way()).toEqual([high.gateway, "eth3"]);
    await machine.networks.disconnect("high", "a");
    expect(await way()).toEqual([two.gateway, "eth2"]);
    await connect("one", { GwPriority: -1 });
    expect(await way()).toEqual([two.gateway, "eth2"]);
  });

  test.each<[string, EndpointConfig, string, string]>([
    [
      "bridge",
      { IPAMConfig: { IPv4Address: "10.9.9.9" } },
      "invalid",
      "user specified IP address is supported on user defined networks only",
    ],
    ["bridge", { Aliases: ["x"] }, "invalid", "network-scoped aliases are only supported for user-defined networks"],
    [
      "auto",
      { IPAMConfig: { IPv4Address: "10.9.9.9" } },
      "invalid",
      "only when connecting to networks with user configured subnets",
    ],
    [
      "fixed",
      { IPAMConfig: { IPv4Address: "10.9.9.9" } },
      "invalid",
      "no configured subnet contains IP address 10.9.9.9: network fixed has 10.233.0.0/24",
    ],
    ["fixed", { IPAMConfig: { IPv4Address: "x" } }, "invalid", "invalid IPv4 address: x"],
    ["fixed", { IPAMConfig: { IPv6Address: "10.233.0.9" } }, "invalid", "invalid IPv6 address: 10.233.0.9"],
    ["fixed", { IPAMConfig: { IPv6Address: "fd00::9" } }, "invalid", "network fixed has no IPv6"],
    ["fixed", { IPAMConfig: { LinkLocalIPs: ["x"] } }, "invalid", "invalid link-local IP address: x"],
    ["fixed", { IPAMConfig: { IPv4Address: "10.233.0.1" } }, "conflict", "Address already in use"],
    ["fixed", { DriverOpts: { a: "b" } }, "not-implemented", "driver option a of an endpoint is not implemented"],
    [
      "fixed",
      { DriverOpts: { "com.docker.network.endpoint.ifname": "a b" } },
      "invalid",
      '"a b" is not the name of an interface',
    ],
    [
      "fixed",
      { DriverOpts: { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.eth0.x=1" } },
      "invalid",
      "unrecognised network interface sysctl 'net.ipv4.conf.eth0.x=1'; represent 'net.X.Y.ethN.Z=V'",
    ],
    [
      "fixed",
      { DriverOpts: { "com.docker.network.endpoint.sysctls": 'net.ipv4.conf.IFNAME.x=1"; reboot; "' } },
      "invalid",
      "unrecognised network interface sysctl",
    ],
    [
      "fixed",
      { DriverOpts: { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.nonsense=1" } },
      "internal",
      "nonsense",
    ],
    ["config", {}, "forbidden", "cannot create endpoint on configuration-only network"],
    ["none", {}, "forbidden", "container cannot be disconnected from none network or connected to none network"],
  ])("in %s is refused with %p, and leaves nothing", async (network, config, kind, words) => {
    await create("fixed", subnet("10.233.0.0/24"));
    await create("auto");
    await create("config", { ConfigOnly: true });
    await expect(connect(network, config)).rejects.toMatchObject({ kind, message: expect.stringContaining(words) });
    expect(machine.networks.endpoints("a")).toEqual([]);
    expect(await shown("ip", "link")).not.toContain("eth");
  });

  test("is told all that is wrong with it at once, also before the container runs", async () => {
    await create("fixed", subnet("10.233.0.0/24"));
    const config = { IPAMConfig: { IPv4Address: "x", IPv6Address: "y" } };
    const words = "invalid endpoint settings:\n* invalid IPv4 address: x\n* invalid IPv6 address: y";
    expect(() => machine.networks.check("fixed", config)).toThrow(words);
    machine.networks.check("fixed", { IPAMConfig: { IPv4Address: "10.233.0.7" } });
  });
});
