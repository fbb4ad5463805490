import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { NetworkCreateBody } from "../wire/mod.ts";
import { parseAddress, parseSubnet, type Subnet } from "./address.ts";
import { inside, leftovers, type Machine, nobodysLink, openMachine, run } from "./testing/fixture.ts";

let machine: Machine;
/** A link of the host that is nobody's. */
let link = "";
beforeEach(async () => {
  machine = await openMachine();
  link = `x${machine.config.tag}`;
});
afterEach(async () => {
  await machine.end();
  await run(["ip", "link", "del", link]);
  expect(await leftovers(machine)).toEqual([]);
});

const rest = { Attachable: false, Ingress: false, ConfigOnly: false, Internal: false, Labels: {}, Options: {} };
const create = (Name: string, more: Partial<NetworkCreateBody> = {}) =>
  machine.networks.create({ Name, Driver: "bridge", ...rest, ...more });
const option = (name: string, value: string) => ({ [`com.docker.network.bridge.${name}`]: value });
const subnetOf = (name: string) => parseSubnet(machine.networks.get(name).IPAM.Config[0]?.Subnet ?? "") as Subnet;
const shown = async (...argv: string[]) => (await run(["ip", ...argv])).stdout;

async function join(holder: string, network: string) {
  await machine.networks.openSandbox(holder);
  return await machine.networks.connect(network, { holder, name: holder });
}

describe("a bridge", () => {
  test("that somebody has made is used as it is, and left as it was", async () => {
    await run(["ip", "link", "add", link, "type", "bridge"]);
    await run(["ip", "addr", "add", "10.236.9.1/24", "dev", link]);
    await create("theirs", { Options: option("name", link), IPAM: { Config: [{ Subnet: "10.236.0.0/24" }] } });
    expect(await shown("-br", "addr", "show", link)).toMatch(/10\.236\.9\.1\/24 10\.236\.0\.1\/24/);
    const a = await join("a", "theirs");
    expect((await inside(machine, "a", "ping", "-c1", "-W2", a.gateway)).code).toBe(0);
    await expect(create("again", { Options: option("name", link) })).rejects.toThrow("networks have same bridge name");
    await machine.networks.closeSandbox("a");
    await machine.restart([]);
    await machine.networks.remove("theirs");
    expect((await shown("-4", "-br", "addr", "show", link)).trim()).toEndWith("10.236.9.1/24");
  });

  test("has no address where it is inhibited, or isolated in an internal network", async () => {
    await create("plain", { Options: { ...option("name", link), ...option("inhibit_ipv4", "true") } });
    expect(await shown("-4", "addr", "show", link)).toBe("");
    expect((await join("a", "plain")).gateway).not.toBe("");
    await machine.networks.closeSandbox("a");
    await machine.networks.remove("plain");
    const modes = { ...option("gateway_mode_ipv4", "isolated"), ...option("gateway_mode_ipv6", "isolated") };
    await create("apart", { Options: { ...option("name", link), ...modes }, Internal: true, EnableIPv6: true });
    expect(await shown("addr", "show", link)).not.toMatch(/inet |inet6 fd/);
    expect(machine.networks.get("apart").IPAM.Config.map(({ Gateway }) => Gateway)).toEqual([undefined, undefined]);
    const [a, b] = [await join("a", "apart"), await join("b", "apart")];
    expect((await inside(machine, "a", "ping", "-c1", "-W2", b.address)).code).toBe(0);
    expect(a.gateway).toBe("");
  });

  test("is open to all who route to it, or to those behind a trusted link, and to nobody else", async () => {
    const outside = await openMachine();
    try {
      await outside.networks.openSandbox("stranger");
      await outside.networks.connect("bridge", { holder: "stranger", name: "stranger" });
      await create("plain");
      await create("open", { Options: option("gateway_mode_ipv4", "nat-unprotected") });
      await create("trusting", { Options: option("trusted_host_interfaces", `absent0:${outside.config.bridge}`) });
      const reached: boolean[] = [];
      for (const network of ["plain", "open", "trusting"]) {
        const { address } = await join(network, network);
        const ask = await inside(outside, "stranger", "ping", "-c1", "-W1", address);
        reached.push(ask.code === 0);
      }
      expect(reached).toEqual([false, true, true]);
      await machine.restart(["plain", "open", "trusting"]);
      const [{ address } = { address: "" }] = machine.networks.endpoints("open");
      expect((await inside(outside, "stranger", "ping", "-c1", "-W1", address)).code).toBe(0);
    } finally {
      await outside.end();
    }
  });

  test("of a subnet of two has an address and leaves one, of one leaves none", async () => {
    await create("two", { IPAM: { Config: [{ Subnet: "10.236.1.6/31" }] } });
    expect(await join("a", "two")).toMatchObject({ address: "10.236.1.7", gateway: "10.236.1.6", prefixLength: 31 });
    expect((await inside(machine, "a", "ping", "-c1", "-W2", "10.236.1.6")).code).toBe(0);
    await create("one", { IPAM: { Config: [{ Subnet: "10.236.1.9/32" }] } });
    await expect(join("b", "one")).rejects.toThrow("no available IPv4 addresses");
  });
});

describe("subnets that nobody has chosen", () => {
  const pools = [{ base: "10.237.0.0/21", size: 24 }];

  test("avoid the routes of the host in every table, and say when none is left", async () => {
    await machine.end();
    machine = await openMachine({ pools, subnet: "10.237.7.1/24" });
    link = `x${machine.config.tag}`;
    await using _link = await nobodysLink(link);
    await run(["ip", "route", "add", "10.237.1.128/25", "dev", link]);
    await run(["ip", "route", "add", "10.237.2.7", "dev", link, "table", "77"]);
    await run(["ip", "route", "add", "10.237.4.0/23", "dev", link]);
    for (const name of ["a", "b", "c"]) await create(name);
    const bases = ["10.237.0.0", "10.237.3.0", "10.237.6.0"].map(parseAddress);
    expect(["a", "b", "c"].map((name) => subnetOf(name).base)).toEqual(bases as number[]);
    await expect(create("d")).rejects.toThrow("all predefined address pools have been fully subnetted");
    await machine.networks.remove("b");
    await create("d");
    expect(subnetOf("d").base).toBe(parseAddress("10.237.3.0") as number);
    const chosen = (Subnet: string) => create("e", { IPAM: { Config: [{ Subnet }] } });
    await expect(chosen("10.237.2.0/24")).rejects.toThrow(`the host has a route to 10.237.2.7/32 by ${link}`);
    await expect(chosen("10.237.0.0/23")).rejects.toThrow("network a has 10.237.0.0/24");
  });

  test("are small, and far from the halves of everything that a VPN routes", async () => {
    await using _link = await nobodysLink(link);
    await run(["ip", "route", "add", "128.0.0.0/1", "dev", link, "table", "77"]);
    await Promise.all(Array.from({ length: 12 }, (_, number) => create(`n${number}`)));
    const subnets = Array.from({ length: 12 }, (_, number) => subnetOf(`n${number}`));
    expect(new Set(subnets.map(({ base }) => base)).size).toBe(12);
    expect(subnets.every(({ prefixLength }) => prefixLength === 24)).toBe(true);
  });
});
