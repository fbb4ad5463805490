import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { NetworkCreateBody } from "../../wire/mod.ts";
import {
  inside,
  kernelHas,
  leftovers,
  type Machine,
  nobodysLink,
  openMachine,
  run,
  until,
} from "../testing/fixture.ts";

let machine: Machine;
/** A link of the host that is nobody's. */
let parent = "";
let link: AsyncDisposable;
const [hasIpvlan, hasVlans] = [kernelHas("ipvlan"), kernelHas("vlan")];
beforeEach(async () => {
  machine = await openMachine();
  parent = `p${machine.config.tag}`;
  link = await nobodysLink(parent);
});
afterEach(async () => {
  await machine.end();
  await link[Symbol.asyncDispose]();
  expect(await leftovers(machine)).toEqual([]);
});

const rest = { Attachable: false, Ingress: false, ConfigOnly: false, Internal: false, Labels: {} };

function create(Name: string, Options: Record<string, string>, more: Partial<NetworkCreateBody> = {}) {
  return machine.networks.create({ Name, Driver: "macvlan", Options, ...rest, ...more });
}

async function join(holder: string, network: string, more: object = {}) {
  await machine.networks.openSandbox(holder);
  return await machine.networks.connect(network, { holder, name: holder, ...more });
}

const linkThere = async (name: string) => (await run(["ip", "link", "show", name])).code === 0;
const routes = async (holder: string) => (await inside(machine, holder, "ip", "route")).stdout;
const ping = async (holder: string, address: string) =>
  (await inside(machine, holder, "ping", "-c1", "-W1", address)).code === 0;
const subnet = (Subnet: string, more: object = {}) => ({ IPAM: { Config: [{ Subnet, ...more }] } });

describe("macvlan", () => {
  test("without a parent connects its members with each other only, on a link of its own", async () => {
    const { id } = await create("alone", {});
    const own = `dm${machine.config.tag}-${id}`.slice(0, 15);
    expect(await linkThere(own)).toBe(true);
    const [a, b] = [await join("a", "alone"), await join("b", "alone")];
    expect(a).toMatchObject({ gateway: "", macAddress: expect.stringMatching(/^02:42:/) });
    expect(await ping("a", b.address)).toBe(true);
    expect(await routes("a")).not.toContain("default");
    expect(machine.networks.get("alone")).toMatchObject({ Driver: "macvlan", Options: {}, Internal: false });
    expect(machine.networks.get("alone").IPAM.Config[0]?.Gateway).toBeUndefined();
    await machine.networks.disconnect("alone", "a");
    expect((await inside(machine, "a", "ip", "link")).stdout).not.toContain("eth0");
    await machine.networks.closeSandbox("b");
    await machine.networks.remove("alone");
    expect(await linkThere(own)).toBe(false);
  });

  test("on a parent leads to its gateway, in a subnet that the host has a route to by the parent", async () => {
    await run(["ip", "addr", "add", "10.234.0.1/24", "dev", parent]);
    await create(
      "lan",
      { parent, macvlan_mode: "vepa" },
      subnet("10.234.0.0/24", { IPRange: "10.234.0.128/25", Gateway: "10.234.0.1" }),
    );
    const a = await join("a", "lan", { config: { MacAddress: "02:00:00:00:00:07" } });
    expect(a).toMatchObject({ address: "10.234.0.128", gateway: "10.234.0.1", macAddress: "02:00:00:00:00:07" });
    expect(await routes("a")).toContain("default via 10.234.0.1 dev eth0");
    const shown = await run(["nsenter", `--net=${machine.config.execRoot}/netns/a`, "ip", "-d", "link"]);
    expect(shown.stdout).toContain("macvlan mode vepa");
    expect(create("other", { parent }, subnet("10.234.0.0/25"))).rejects.toThrow("network lan has 10.234.0.0/24");
    await machine.networks.closeSandbox("a");
    await machine.networks.remove("lan");
    expect(await linkThere(parent)).toBe(true);
  });

  test.skipIf(!hasVlans)("makes a VLAN of its parent, which goes with the last network that uses it", async () => {
    const vlan = `${parent}.7`;
    await create("one", { parent: vlan });
    await create("two", { parent: vlan });
    const shown = (await run(["ip", "-d", "link", "show", vlan])).stdout;
    expect(shown).toContain("vlan protocol 802.1Q id 7");
    expect(shown).toContain(`alias berth_${machine.config.tag}`);
    await machine.networks.remove("one");
    expect(await linkThere(vlan)).toBe(true);
    await machine.networks.remove("two");
    expect(await linkThere(vlan)).toBe(false);
    await run(["ip", "link", "add", "link", parent, "name", vlan, "type", "vlan", "id", "7"]);
    await create("theirs", { parent: vlan });
    await machine.networks.remove("theirs");
    expect(await linkThere(vlan)).toBe(true);
  });

  test("publishes nothing, and shares no parent with ipvlan or in mode passthru", async () => {
    await create("lan", { parent });
    await machine.networks.openSandbox("a");
    const ports = { "80/tcp": [{ HostIp: "", HostPort: "" }] };
    const published = machine.networks.connect("lan", { holder: "a", name: "a", ports });
    await expect(published).rejects.toThrow("ports cannot be published on macvlan network lan");
    expect(machine.networks.endpoints("a")).toEqual([]);
    const taken = `network lan is already using parent interface ${parent}`;
    await expect(create("two", { parent, macvlan_mode: "passthru" })).rejects.toThrow(taken);
    await create("three", { parent });
  });

  test.each([
    ["absent0", "invalid subinterface vlan name absent0, example formatting is eth0.10"],
    ["absent0.7", "-o parent interface was not found on the host: absent0"],
    ["lo.x", "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)"],
    ["lo.4095", "vlan id must be between 1-4094, received: 4095"],
  ])("refuses the parent %s, and leaves nothing", async (name, words) => {
    await expect(create("bad", { parent: name })).rejects.toMatchObject({ kind: "invalid", message: words });
    expect(() => machine.networks.get("bad")).toThrow("not found");
  });

  test("has names, by a link to the resolver that nobody else is on, also with another resolver and another daemon", async () => {
    await create("one", { parent });
    await create("two", {});
    const a = await join("a", "one", { config: { Aliases: ["web"] } });
    await join("b", "one");
    const asks = async (holder: string, name: string) =>
      (await inside(machine, holder, "nslookup", name, "127.0.0.11")).stdout.includes(a.address);
    const known = async () => [await asks("b", "web"), await asks("a", "a"), await asks("b", "nobody")];
    expect(await known()).toEqual([true, true, false]);
    expect((await inside(machine, "b", "ip", "-4", "-o", "addr")).stdout).not.toContain("names");
    await machine.crashResolver();
    await until(() => asks("b", "web"));
    await machine.restart(["a", "b"]);
    expect(await known()).toEqual([true, true, false]);
    await machine.networks.connect("two", { holder: "b", name: "b" });
    await machine.networks.disconnect("one", "b");
    expect((await inside(machine, "b", "ip", "-o", "link")).stdout.match(/names/g)).toHaveLength(1);
    await machine.networks.connect("two", { holder: "a", name: "a", config: { Aliases: ["other"] } });
    expect((await inside(machine, "b", "nslookup", "other", "127.0.0.11")).code).toBe(0);
    expect(await asks("b", "web")).toBe(false);
    await machine.networks.disconnect("two", "b");
    expect((await inside(machine, "b", "ip", "-o", "link")).stdout).not.toMatch(/names|eth/);
  });

  test("survives the daemon's kill, and what was half made goes with its restart", async () => {
    await create("lan", { parent });
    await create("alone", {});
    const a = await join("a", "lan");
    const orphan = await nobodysLink(`${parent}o`);
    await run(["ip", "link", "set", "dev", `${parent}o`, "alias", `berth_${machine.config.tag}`]);
    await join("half", "lan");
    machine.db.write((tx) => tx.run("UPDATE endpoints SET ready = 0 WHERE holder = 'half'"));
    const own = (await run(["ip", "-br", "link"])).stdout.split("\n").find((line) => line.startsWith("dm"));
    await run(["ip", "link", "del", own?.split(" ")[0] ?? ""]);
    await machine.restart(["a", "half"]);
    expect(machine.networks.endpoints("a")).toEqual([a]);
    expect(machine.networks.endpoints("half")).toEqual([]);
    expect((await inside(machine, "half", "ip", "link")).stdout).not.toContain("eth0");
    expect(await linkThere(`${parent}o`)).toBe(false);
    await orphan[Symbol.asyncDispose]();
    const again = await machine.networks.connect("lan", { holder: "half", name: "half" });
    expect(await ping("a", again.address)).toBe(true);
    await join("c", "alone");
    expect(await ping("c", (await join("d", "alone")).address)).toBe(true);
  });
});

test.skipIf(hasVlans)("a kernel without VLANs makes none, and says so", async () => {
  await expect(create("vlan", { parent: `${parent}.7` })).rejects.toThrow("this kernel has no VLANs (8021q)");
  expect(() => machine.networks.get("vlan")).toThrow("not found");
});

test.skipIf(hasIpvlan)("a kernel without ipvlan has no such networks, and the refusal says so", async () => {
  await expect(create("lan", { parent }, { Driver: "ipvlan" })).rejects.toMatchObject({
    kind: "not-implemented",
    message: 'network driver "ipvlan" needs a kernel that has ipvlan, and this one has not',
  });
});

describe.skipIf(!hasIpvlan)("ipvlan", () => {
  test("in layer 2 has a gateway and the parent's MAC address", async () => {
    await create("lan", { parent }, { Driver: "ipvlan", EnableIPv6: true, ...subnet("10.234.0.0/24") });
    const [a, b] = [await join("a", "lan"), await join("b", "lan")];
    expect(a).toMatchObject({ gateway: "10.234.0.1", macAddress: "", gateway6: expect.stringMatching(/^fd.*::1$/) });
    expect(await routes("a")).toContain("default via 10.234.0.1 dev eth0");
    expect(await ping("a", b.address)).toBe(true);
    await machine.networks.openSandbox("c");
    const config = { MacAddress: "02:00:00:00:00:07" };
    await expect(machine.networks.connect("lan", { holder: "c", name: "c", config })).rejects.toThrow(
      "ipvlan interfaces do not support custom mac address assignment",
    );
  });

  test.each(["l3", "l3s"])("in mode %s routes by the interface alone", async (mode) => {
    await create("lan", { parent, ipvlan_mode: mode, ipvlan_flag: "private" }, { Driver: "ipvlan", EnableIPv6: true });
    const a = await join("a", "lan");
    expect(a.gateway).toBe("");
    expect(await routes("a")).toMatch(/^default dev eth0/m);
    expect((await inside(machine, "a", "ip", "-6", "route")).stdout).toMatch(/^default dev eth0/m);
    const shown = await run(["nsenter", `--net=${machine.config.execRoot}/netns/a`, "ip", "-d", "link"]);
    expect(shown.stdout.replaceAll(/ +/g, " ")).toContain(`ipvlan mode ${mode} private`);
    expect(machine.networks.get("lan").IPAM.Config.map(({ Gateway }) => Gateway)).toEqual([undefined, undefined]);
  });

  test("internal leads nowhere, and has its parent for itself", async () => {
    await create("lan", { parent }, { Driver: "ipvlan", Internal: true });
    expect((await join("a", "lan")).gateway).toBe("");
    expect(await routes("a")).not.toContain("default");
    await expect(create("two", { parent }, { Driver: "ipvlan" })).rejects.toThrow(
      `network lan is already using parent interface ${parent}`,
    );
  });
});
