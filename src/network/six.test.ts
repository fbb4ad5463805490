import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { NetworkCreateBody } from "../wire/mod.ts";
import {
  echoServer,
  inside,
  leftovers,
  type Machine,
  openMachine,
  run,
  tcpEcho,
  udpEcho,
  until,
} from "./testing/fixture.ts";

let machine: Machine;
beforeEach(async () => {
  machine = await openMachine();
});
afterEach(async () => {
  await machine.end();
  expect(await leftovers(machine)).toEqual([]);
});

const rest = { Attachable: false, Ingress: false, ConfigOnly: false, Internal: false, Options: {}, Labels: {} };

function create(Name: string, more: Partial<NetworkCreateBody> = {}) {
  return machine.networks.create({ Name, Driver: "bridge", EnableIPv6: true, ...rest, ...more });
}

const pool = (Subnet: string, more: object = {}) => ({ IPAM: { Config: [{ Subnet, ...more }] } });

async function join(holder: string, network: string, more: object = {}) {
  await machine.networks.openSandbox(holder);
  return machine.networks.connect(network, { holder, name: holder, ...more });
}

async function reaches(holder: string, address: string): Promise<boolean> {
  return (await inside(machine, holder, "ping", "-c", "1", "-W", "2", address)).code === 0;
}

describe("a network with IPv6", () => {
  test("has a unique local /64 of its own unless it is given another, and shows it", async () => {
    await create("auto");
    await create("fixed", pool("fd12:3456::/64", { Gateway: "fd12:3456::ff" }));
    const [, auto] = machine.networks.get("auto").IPAM.Config;
    expect(auto?.Subnet).toMatch(/^fd[0-9a-f]{2}:[0-9a-f:]+::\/64$/);
    expect(machine.networks.get("auto").EnableIPv6).toBe(true);
    expect(machine.networks.get("fixed").IPAM.Config).toMatchObject([
      { Subnet: expect.stringMatching(/^[\d.]+\/\d+$/) },
      { Subnet: "fd12:3456::/64", Gateway: "fd12:3456::ff" },
    ]);
  });

  test("gives every member an address, a route and a way to the others", async () => {
    await create("own", pool("fd12:3456::/64"));
    const one = await join("one", "own");
    const two = await join("two", "own");
    expect(one).toMatchObject({ prefixLength6: 64, gateway6: "fd12:3456::1" });
    expect(one.address6).toMatch(/^fd12:3456::[0-9a-f]+$/);
    expect(one.address6).not.toBe(two.address6);
    const shown = Object.values(machine.networks.get("own").Containers).map((member) => member.IPv6Address);
    expect(shown).toEqual([`${one.address6}/64`, `${two.address6}/64`]);
    expect(await reaches("one", two.address6 ?? "")).toBe(true);
    expect(await reaches("one", "fd12:3456::1")).toBe(true);
    const { stdout } = await inside(machine, "one", "ip", "-6", "route");
    expect(stdout).toContain("default via fd12:3456::1");
  });

  test("addresses on demand, in the subnet and once", async () => {
    await create("own", pool("fd12:3456::/64", { IPRange: "fd12:3456::8000/113" }));
    const asked = (IPv6Address: string) => ({ config: { IPAMConfig: { IPv6Address } } });
    expect((await join("one", "own", asked("FD12:3456:0::5"))).address6).toBe("fd12:3456::5");
    expect((await join("two", "own")).address6).toMatch(/^fd12:3456::8[0-9a-f]{3}$/);
    expect(join("three", "own", asked("fd12:3456::5"))).rejects.toThrow("Address already in use");
    await until(() => machine.networks.endpoints("three").length === 0);
    await machine.networks.closeSandbox("three");
    expect(join("three", "own", asked("fd99::5"))).rejects.toThrow("no configured subnet contains IP address fd99::5");
  });

  test("publishes on both kinds of addresses, also under one port that the kernel chooses", async () => {
    await create("own", pool("fd12:3456::/64"));
    const { ports } = await join("web", "own", { ports: { "80/tcp": [{ HostIp: "", HostPort: "" }] } });
    const bindings = ports["80/tcp"] ?? [];
    expect(bindings.map(({ HostIp }) => HostIp).toSorted()).toEqual(["0.0.0.0", "::"]);
    expect(new Set(bindings.map(({ HostPort }) => HostPort)).size).toBe(1);
    using _server = await echoServer(machine, { holder: "web", protocol: "tcp", port: 80, six: true });
    const port = Number(bindings[0]?.HostPort);
    expect(await tcpEcho("fd12:3456::1", port)).toBe("hello");
    expect(await tcpEcho("127.0.0.1", port)).toBe("hello");
    expect(await tcpEcho("::1", port)).not.toBe("hello");
    await machine.networks.closeSandbox("web");
    expect(await tcpEcho("fd12:3456::1", port)).toBe("ECONNREFUSED");
  });

  test("udp, and one address of the host", async () => {
    await create("own", pool("fd12:3456::/64"));
    const { ports } = await join("dns", "own", { ports: { "53/udp": [{ HostIp: "fd12:3456::1", HostPort: "" }] } });
    using _server = await echoServer(machine, { holder: "dns", protocol: "udp", port: 53, six: true });
    expect(await udpEcho("fd12:3456::1", Number(ports["53/udp"]?.[0]?.HostPort))).toBe("hello");
  });

  test("keeps networks apart, and internal ones in", async () => {
    await create("one", pool("fd12:1::/64"));
    await create("two", pool("fd12:2::/64"));
    await create("inner", { ...pool("fd12:3::/64"), Internal: true });
    await join("a", "one");
    const b = await join("b", "two");
    const c = await join("c", "inner");
    expect(await reaches("a", b.address6 ?? "")).toBe(false);
    expect(await reaches("a", c.address6 ?? "")).toBe(false);
    expect(c.gateway6).toBeUndefined();
  });

  test("is as it was after the daemon was killed", async () => {
    await create("own", pool("fd12:3456::/64"));
    const { ports } = await join("web", "own", { ports: { "80/tcp": [{ HostIp: "", HostPort: "" }] } });
    using _server = await echoServer(machine, { holder: "web", protocol: "tcp", port: 80, six: true });
    await machine.restart(["web"]);
    expect(await tcpEcho("fd12:3456::1", Number(ports["80/tcp"]?.[0]?.HostPort))).toBe("hello");
  });

  test("members of others have no IPv6 at all, and the table goes with the last such network", async () => {
    await create("own", pool("fd12:3456::/64"));
    const { address6 } = await join("plain", "bridge");
    expect(address6).toBeUndefined();
    expect((await inside(machine, "plain", "ip", "-6", "addr", "show", "dev", "eth0")).stdout).toBe("");
    const tables = async () => (await run(["nft", "list", "tables", "ip6"])).stdout;
    expect(await tables()).toContain(`berth_${machine.config.tag}`);
    await machine.networks.remove("own");
    expect(await tables()).not.toContain(`berth_${machine.config.tag}`);
  });

  test("clashes and nonsense are refused", async () => {
    await create("own", pool("fd12:3456::/64"));
    expect(create("two", pool("fd12:3456::/48"))).rejects.toThrow("Pool overlaps with other one");
    expect(create("two", pool("fd99::/129"))).rejects.toThrow("invalid subnet fd99::/129");
    expect(create("two", pool("fd99::/64", { Gateway: "fd98::1" }))).rejects.toThrow("invalid gateway fd98::1");
    expect(create("two", pool("fd99::/64", { IPRange: "fd98::/80" }))).rejects.toThrow("invalid ip-range");
  });
});
