import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createNet, createProcesses } from "../host/mod.ts";
import type { NetworkCreateBody, PortMap } from "../wire/mod.ts";
import { echoServer, leftovers, type Machine, openMachine, run, tcpEcho, udpEcho, until } from "./testing/fixture.ts";

const net = createNet(createProcesses());
let machine: Machine;
beforeEach(async () => {
  machine = await openMachine();
});
afterEach(async () => {
  await machine.end();
  expect(await leftovers(machine)).toEqual([]);
});

const tableOf = (on: Machine) => `berth_${on.config.tag}`;
/** Other than before as soon as the table has been made anew. */
const handle = (family: "ip" | "ip6" = "ip", on = machine) => net.nftRules({ family, table: tableOf(on) })?.handle;
const listed = async (set: string, family = "ip") =>
  (await run(["nft", "list", "set", family, tableOf(machine), set])).stdout;

const body = (name: string, more: Partial<NetworkCreateBody> = {}): NetworkCreateBody => ({
  Name: name,
  Driver: "bridge",
  Internal: false,
  Attachable: true,
  Ingress: false,
  ConfigOnly: false,
  EnableIPv6: false,
  Options: {},
  Labels: {},
  ...more,
});
const published = (key: string, HostPort = ""): PortMap => ({ [key]: [{ HostIp: "", HostPort }] });

async function start(holder: string, ports: PortMap, on = machine) {
  await on.networks.openSandbox(holder);
  return await on.networks.connect("bridge", { holder, name: holder, ports });
}

async function echoing(holder: string) {
  const { ports } = await start(holder, published("80/tcp"));
  const server = await echoServer(machine, { holder, protocol: "tcp", port: 80 });
  return { server, port: Number(ports["80/tcp"]?.[0]?.HostPort) };
}

describe("networks are elements", () => {
  test("that come and go while the table stays the one it was", async () => {
    const made = handle();
    const { id } = await machine.networks.create(body("one"));
    await machine.networks.create(body("in", { Internal: true }));
    const bridge = `br${machine.config.tag}-${id}`.slice(0, 15);
    expect(await listed("bridges")).toContain(`"${bridge}"`);
    expect(await listed("internal")).not.toContain(`"${bridge}"`);
    expect(await listed("subnets")).toContain(`. "${bridge}"`);
    await machine.networks.remove("in");
    await machine.networks.remove("one");
    for (const set of ["bridges", "internal", "within", "subnets"])
      expect(await listed(set)).not.toContain(`br${machine.config.tag}-`);
    expect(handle()).toBe(made);
  });

  test("of IPv6 have a table while there is one of them", async () => {
    expect(handle("ip6")).toBeUndefined();
    await machine.networks.create(body("a", { EnableIPv6: true }));
    const made = handle("ip6");
    expect(made).toBeDefined();
    await machine.networks.create(body("b", { EnableIPv6: true }));
    await machine.networks.remove("a");
    expect(handle("ip6")).toBe(made);
    await machine.networks.remove("b");
    expect(handle("ip6")).toBeUndefined();
  });

  test("and what a daemon left that died goes with the next start", async () => {
    await machine.networks.create(body("a", { EnableIPv6: true }));
    machine.db.write((tx) => tx.run("DELETE FROM networks WHERE name = 'a'"));
    await machine.restart([]);
    expect(handle("ip6")).toBeUndefined();
    expect(await listed("bridges")).not.toContain(`br${machine.config.tag}-`);
  });
});

describe("what others do to the tables is undone", () => {
  test.each([
    ["deleted", (table: string) => `delete table ip ${table}`],
    ["without their rules", (table: string) => `flush table ip ${table}`],
    ["deleted and made anew, empty", (table: string) => `delete table ip ${table}\ntable ip ${table}`],
    ["with a chain emptied", (table: string) => `flush chain ip ${table} guard`],
  ])("when they are %s", async (_, script) => {
    const { server, port } = await echoing("a");
    using _server = server;
    const made = handle();
    expect((await run(["nft", "-f", "-"], `${script(tableOf(machine))}\n`)).stderr).toBe("");
    const rules = async () => (await run(["nft", "list", "chain", "ip", tableOf(machine), "guard"])).stdout;
    await until(async () => (await rules()).includes("127.0.0.0/8") && handle() !== made);
    expect(await tcpEcho("127.0.0.1", port)).toBe("hello");
  });

  test("of both kinds of addresses, more than once, and next to another daemon, which has nothing to do", async () => {
    await using other = { machine: await openMachine(), [Symbol.asyncDispose]: () => other.machine.end() };
    await machine.networks.create(body("six", { EnableIPv6: true }));
    const others = handle("ip", other.machine);
    for (let round = 0; round < 2; round++) {
      await run(["nft", "delete", "table", "ip6", tableOf(machine)]);
      await run(["nft", "delete", "table", "ip", tableOf(machine)]);
      await until(() => handle() !== undefined && handle("ip6") !== undefined);
    }
    expect(handle("ip", other.machine)).toBe(others);
  });

  test("but our own changes are left alone", async () => {
    const made = handle();
    await start("a", published("80/tcp"));
    await machine.networks.create(body("one"));
    await Bun.sleep(700); // longer than it waits before it looks
    await machine.networks.remove("one");
    await machine.networks.closeSandbox("a");
    await Bun.sleep(700);
    expect(handle()).toBe(made);
  });
});

describe("ports that are not TCP's", () => {
  test("of SCTP are published, shown and taken like others", async () => {
    const port = 30000 + (process.pid % 2000);
    const a = await start("a", { ...published("9999/sctp", String(port)), ...published("9998/sctp") });
    expect(a.ports["9999/sctp"]).toEqual([{ HostIp: "0.0.0.0", HostPort: String(port) }]);
    const map = async () => (await run(["nft", "list", "map", "ip", tableOf(machine), "any4"])).stdout;
    expect(await map()).toContain(`sctp . ${port} : ${a.address} . 9999`);
    expect(await map()).toContain(`sctp . ${a.ports["9998/sctp"]?.[0]?.HostPort} : ${a.address} . 9998`);
    await machine.restart(["a"]);
    expect(await map()).toContain(`sctp . ${port} : ${a.address} . 9999`);
    const text = `Bind for 0.0.0.0:${port} failed: port is already allocated`;
    await expect(start("b", published("1/sctp", String(port)))).rejects.toThrow(text);
    await machine.networks.closeSandbox("a");
    expect(await map()).not.toContain("sctp");
    await machine.networks.connect("bridge", {
      ...{ holder: "b", name: "b" },
      ports: published("1/sctp", String(port)),
    });
  });

  test("of UDP are forgotten one by one", async () => {
    const [gone, stays] = [32000 + (process.pid % 300), 32400 + (process.pid % 300)];
    const ports = { "53/udp": [gone, stays].map((port) => ({ HostIp: "", HostPort: String(port) })) };
    await start("a", ports);
    using _server = await echoServer(machine, { holder: "a", protocol: "udp", port: 53 });
    expect([await udpEcho("127.0.0.1", gone), await udpEcho("127.0.0.1", stays)]).toEqual(["hello", "hello"]);
    await machine.networks.unpublish("a", { "53/udp": [{ HostIp: "0.0.0.0", HostPort: String(gone) }] });
    const flows = (port: number) => net.forgetFlows({ family: "ip", protocol: 17, ports: new Set([port]) });
    expect([await flows(gone), await flows(stays)]).toEqual([0, 1]);
  });
});
