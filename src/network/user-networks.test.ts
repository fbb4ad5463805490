import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { NetworkCreateBody } from "../wire/mod.ts";
import { inside, leftovers, type Machine, openMachine, run } from "./testing/fixture.ts";

let machine: Machine;
beforeEach(async () => {
  machine = await openMachine();
});
afterEach(async () => {
  await machine.end();
  expect(await leftovers(machine)).toEqual([]);
});

function body(Name: string, more: Partial<NetworkCreateBody> = {}): NetworkCreateBody {
  return {
    Name,
    Driver: "bridge",
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigOnly: false,
    Options: {},
    Labels: {},
    ...more,
  };
}

const pool = (Subnet: string, more: object = {}) => ({ IPAM: { Config: [{ Subnet, ...more }] } });

describe("user networks", () => {
  test("are made, listed, inspected, found by prefix and removed", async () => {
    const { id } = await machine.networks.create(body("one", { Labels: { a: "b" } }));
    const { id: second } = await machine.networks.create(body("two"));
    const names = machine.networks.list(new Map()).map((network) => network.Name);
    expect(names.toSorted()).toEqual(["bridge", "host", "none", "one", "two"]);
    expect(machine.networks.get(id.slice(0, 12)).Name).toBe("one");
    expect(machine.networks.get("one").Labels).toEqual({ a: "b" });
    const subnets = ["bridge", "one", "two"].map((name) => machine.networks.get(name).IPAM.Config[0]?.Subnet);
    expect(new Set(subnets).size).toBe(3);
    await machine.networks.remove("one");
    await machine.networks.remove(second);
    expect(() => machine.networks.get("one")).toThrow("network one not found");
    expect(machine.events().map((event) => event.Action)).toEqual(["create", "create", "destroy", "destroy"]);
    expect((await run(["ip", "-br", "link"])).stdout).not.toContain(`br${machine.config.tag}-`);
  });

  test("those that nobody uses are pruned, by label and by age", async () => {
    await machine.networks.create(body("one", { Labels: { a: "b" } }));
    await machine.networks.create(body("two", { Labels: { keep: "" } }));
    const prune = (...filter: [string, string[]][]) => machine.networks.prune(new Map(filter));
    expect(await prune(["label", ["other"]])).toEqual([]);
    expect(await prune(["until", ["10m"]])).toEqual([]);
    expect(await prune(["label!", ["keep"]])).toEqual(["one"]);
    await expect(prune(["name", ["two"]])).rejects.toThrow("invalid filter 'name'");
    expect(await prune()).toEqual(["two"]);
    const last = machine.events().at(-1);
    expect([last?.Action, last?.Actor.Attributes]).toEqual(["prune", { reclaimed: "0" }]);
  });

  test("filter by name, id, driver, type, label, scope, dangling", async () => {
    const { id } = await machine.networks.create(body("one", { Labels: { a: "b=c", d: "" } }));
    const names = (...filter: [string, string[]][]) =>
      machine.networks.list(new Map(filter)).map((network) => network.Name);
    expect(names(["name", ["on"]])).toEqual(["none", "one"]);
    expect(names(["id", [id.slice(0, 20)]])).toEqual(["one"]);
    expect(names(["driver", ["host", "null"]])).toEqual(["host", "none"]);
    expect(names(["type", ["custom"]])).toEqual(["one"]);
    expect(names(["label", ["a=b=c", "d"]])).toEqual(["one"]);
    expect(names(["label", ["a=x"]])).toEqual([]);
    expect(names(["scope", ["local"]])).toHaveLength(4);
    expect(names(["dangling", ["true"]])).toEqual(["one"]);
    expect(() => names(["nonsense", ["x"]])).toThrow("invalid filter 'nonsense'");
    expect(() => names(["type", ["x"]])).toThrow("invalid filter");
    expect(() => names(["dangling", ["x"]])).toThrow("invalid filter");
  });

  test("refuse bad names, clashes and what is not there yet", async () => {
    await machine.networks.create(body("one", pool("10.232.0.0/24")));
    const create = (more: Partial<NetworkCreateBody>, name = "two") => machine.networks.create(body(name, more));
    expect(create({}, "one")).rejects.toThrow("network with name one already exists");
    expect(create({}, "bridge")).rejects.toMatchObject({ kind: "forbidden" });
    expect(create({}, "-x")).rejects.toMatchObject({ kind: "invalid" });
    const refused = (more: Partial<NetworkCreateBody>, kind: string, words: string) =>
      expect(create(more)).rejects.toMatchObject({ kind, message: expect.stringContaining(words) });
    await refused({ Driver: "overlay" }, "not-implemented", 'network driver "overlay" is not implemented');
    await refused({ Driver: "nonsense" }, "not-found", 'plugin "nonsense" not found');
    await refused({ Driver: "host" }, "forbidden", 'only one instance of "host" network is allowed');
    await refused({ Driver: "null" }, "forbidden", 'only one instance of "null" network is allowed');
    await refused({ EnableIPv4: false }, "not-implemented", "a network without IPv4");
    await refused({ Ingress: true }, "not-implemented", "an ingress network");
    await refused({ Scope: "swarm" }, "not-implemented", 'scope "swarm"');
    await refused({ Options: { "com.example": "x" } }, "not-implemented", "com.example");
    await refused({ IPAM: { Driver: "dhcp" } }, "not-found", 'plugin "dhcp" not found');
    await refused({ Options: { "com.docker.network.enable_ipv6": "x" } }, "invalid", "is not a valid bool");
    const overlaps = "invalid pool request: Pool overlaps with other one on this address space: ";
    await refused(
      pool("10.232.0.128/25"),
      "forbidden",
      `${overlaps}network one has 10.232.0.0/24, and 10.232.0.128/25`,
    );
    await refused(pool("127.0.0.0/8"), "forbidden", `${overlaps}the host has a route to 127.`);
    await refused(pool("nonsense"), "invalid", "invalid network config:\ninvalid subnet nonsense: invalid CIDR block");
    await refused(pool("fd00::/64"), "invalid", "IPv6 is not enabled in the network");
    await refused(
      { Options: { "com.docker.network.bridge.name": "lo" } },
      "forbidden",
      "lo already exists on this host",
    );
    expect(machine.networks.remove("bridge")).rejects.toThrow("bridge is a pre-defined network and cannot be removed");
    expect(machine.networks.remove("absent")).rejects.toMatchObject({ kind: "not-found" });
  });

  test("give addresses of their range, fixed ones on demand, and say when none is left", async () => {
    const aux = { IPRange: "10.232.1.4/30", Gateway: "10.232.1.1", AuxiliaryAddresses: { router: "10.232.1.5" } };
    await machine.networks.create(body("small", pool("10.232.1.0/24", aux)));
    const connect = async (holder: string, IPv4Address?: string) => {
      await machine.networks.openSandbox(holder);
      const config = IPv4Address === undefined ? {} : { IPAMConfig: { IPv4Address } };
      return await machine.networks.connect("small", { holder, name: holder, config });
    };
    expect((await connect("a")).address).toBe("10.232.1.4");
    expect((await connect("b")).address).toBe("10.232.1.6");
    expect((await connect("c", "10.232.1.99")).address).toBe("10.232.1.99");
    expect((await connect("d")).address).toBe("10.232.1.7");
    expect(connect("e")).rejects.toThrow("no available IPv4 addresses");
    expect(connect("f", "10.232.1.99")).rejects.toThrow("Address already in use");
    expect(connect("g", "10.232.1.1")).rejects.toMatchObject({ kind: "conflict" });
    expect(connect("k", "10.232.1.255")).rejects.toThrow("Address already in use");
    expect(connect("h", "10.9.9.9")).rejects.toThrow("no configured subnet contains IP address 10.9.9.9");
    expect(connect("i", "nonsense")).rejects.toMatchObject({ kind: "invalid" });
    await machine.networks.closeSandbox("a");
    await machine.networks.openSandbox("j");
    const j = await machine.networks.connect("small", { holder: "j", name: "j" });
    expect(j.address).toBe("10.232.1.4");
    expect(machine.networks.remove("small")).rejects.toThrow(
      /network small has active endpoints \(name:"j" id:"[0-9a-f]{12}", name:"b" id:/,
    );
  });

  test("can be joined and left by a running sandbox, which keeps a way out", async () => {
    await machine.networks.create(body("one"));
    await machine.networks.create(body("hidden", { Internal: true }));
    await machine.networks.openSandbox("a");
    const connect = (network: string) => machine.networks.connect(network, { holder: "a", name: "a" });
    await connect("bridge");
    const hidden = await connect("hidden");
    const one = await connect("one");
    expect(hidden.gateway).toBe("");
    const routes = async () => (await inside(machine, "a", "ip", "route")).stdout;
    expect(await routes()).toContain("dev eth2");
    await machine.networks.disconnect("bridge", "a");
    expect(await routes()).toContain(`default via ${one.gateway} dev eth2`);
    expect(await routes()).not.toContain("dev eth0");
    expect(machine.networks.disconnect("bridge", "a")).rejects.toThrow("is not connected to network bridge");
    await machine.networks.disconnect("one", "a");
    await machine.networks.disconnect("hidden", "a");
    expect(await routes()).toBe("");
    const again = await connect("bridge");
    expect(await routes()).toContain(`default via ${again.gateway} dev eth0`);
  });

  test("are kept apart from each other; without icc also siblings", async () => {
    await machine.networks.create(
      body("quiet", {
        Options: { "com.docker.network.bridge.enable_icc": "false", "com.docker.network.driver.mtu": "1400" },
      }),
    );
    const join = async (holder: string, network: string) => {
      await machine.networks.openSandbox(holder);
      return await machine.networks.connect(network, { holder, name: holder });
    };
    const a = await join("a", "quiet");
    const b = await join("b", "quiet");
    const c = await join("c", "bridge");
    expect((await inside(machine, "a", "ping", "-c1", "-W1", b.address)).code).not.toBe(0);
    expect((await inside(machine, "a", "ping", "-c1", "-W1", c.address)).code).not.toBe(0);
    expect((await inside(machine, "a", "ping", "-c1", "-W1", a.gateway)).code).toBe(0);
    expect((await inside(machine, "a", "ip", "link", "show", "eth0")).stdout).toContain("mtu 1400");
  });

  test("come back with their bridges after a restart", async () => {
    await machine.networks.create(body("one"));
    const subnet = machine.networks.get("one").IPAM.Config;
    await machine.networks.shutdown();
    await machine.restart([]);
    expect(machine.networks.get("one").IPAM.Config).toEqual(subnet);
    await machine.networks.openSandbox("a");
    const a = await machine.networks.connect("one", { holder: "a", name: "a" });
    expect((await inside(machine, "a", "ping", "-c1", "-W2", a.gateway)).code).toBe(0);
  });
});
