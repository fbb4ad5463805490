import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { PortMap } from "../wire/mod.ts";
import { echoServer, inside, leftovers, type Machine, openMachine, run, tcpEcho, udpEcho } from "./testing/fixture.ts";

let machine: Machine;
beforeEach(async () => {
  machine = await openMachine();
});
afterEach(async () => {
  await machine.end();
  expect(await leftovers(machine)).toEqual([]);
  expect(existsSync(`${machine.config.execRoot}/netns`)).toBe(false);
});

async function start(holder: string, ports?: PortMap, on: Machine = machine) {
  await on.networks.openSandbox(holder);
  return await on.networks.connect("bridge", { holder, name: holder, ...(ports ? { ports } : {}) });
}

const published = (port: string | number, key = "80/tcp", ip = ""): PortMap => ({
  [key]: [{ HostIp: ip, HostPort: String(port) }],
});

function hostPort(ports: PortMap, key = "80/tcp"): number {
  return Number(ports[key]?.[0]?.HostPort);
}

function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return (
    all.find((one) => one.family === "IPv4" && !one.internal && !one.address.startsWith("172."))?.address ?? "127.0.0.1"
  );
}

describe("sandboxes", () => {
  test("have loopback up, no IPv6 on what comes, and are gone when closed", async () => {
    const { path } = await machine.networks.openSandbox("alone");
    expect(path).toBe(`${machine.config.execRoot}/netns/alone`);
    const { stdout } = await inside(machine, "alone", "ip", "addr");
    expect(stdout).toContain("127.0.0.1/8");
    expect(stdout).not.toContain("eth0");
    await machine.networks.closeSandbox("alone");
    expect(existsSync(path)).toBe(false);
    await machine.networks.closeSandbox("alone");
  });

  test("refuse a second of the same holder and names that are paths", async () => {
    await machine.networks.openSandbox("twice");
    expect(machine.networks.openSandbox("twice")).rejects.toMatchObject({ kind: "conflict" });
    for (const bad of ["../x", "..", "", "a/b"]) {
      expect(machine.networks.openSandbox(bad)).rejects.toMatchObject({ kind: "invalid" });
    }
  });
});

describe("the default bridge", () => {
  test("connects sandboxes by address, each with Docker's MAC and a default route", async () => {
    const a = await start("a");
    const b = await start("b");
    expect(a.address).not.toBe(b.address);
    expect(a.macAddress).toMatch(/^02:42:/);
    const { stdout } = await inside(machine, "a", "ip", "route");
    expect(stdout).toContain(`default via ${a.gateway} dev eth0`);
    expect((await inside(machine, "a", "ip", "addr", "show", "eth0")).stdout).not.toContain("inet6");
    expect((await inside(machine, "a", "ping", "-c1", "-W2", b.address)).code).toBe(0);
    expect((await inside(machine, "b", "ping", "-c1", "-W2", b.gateway)).code).toBe(0);
  });

  test("is inspected as Docker shows it", async () => {
    const a = await start("a");
    const network = machine.networks.get("bridge");
    expect(network.Options["com.docker.network.bridge.name"]).toBe(machine.config.bridge);
    expect(network.IPAM.Config[0]?.Gateway).toBe(a.gateway);
    expect(network.Containers["a"]).toEqual({
      Name: "a",
      EndpointID: a.id,
      MacAddress: a.macAddress,
      IPv4Address: `${a.address}/${a.prefixLength}`,
      IPv6Address: "",
    });
    expect(machine.networks.endpoints("a")).toEqual([a]);
    await machine.networks.closeSandbox("a");
    expect(machine.networks.get("bridge").Containers).toEqual({});
    expect(machine.networks.endpoints("a")).toEqual([]);
  });

  test("does not give an address again at once", async () => {
    const first = await start("a");
    await machine.networks.closeSandbox("a");
    const second = await start("a");
    expect(second.address).not.toBe(first.address);
  });

  test("reaches the outside by masquerading, and is not reached from it but by published ports", async () => {
    const a = await start("a");
    const outside = await openMachine();
    try {
      await start("stranger", undefined, outside);
      using _server = await echoServer(machine, { holder: "a", protocol: "tcp", port: 80 });
      const ask = await inside(outside, "stranger", "nc", "-w1", a.address, "80");
      expect(ask.code).not.toBe(0);
      const ours = await inside(machine, "a", "ping", "-c1", "-W2", ownAddress());
      expect(ours.code).toBe(0);
    } finally {
      await outside.end();
    }
  });

  test("tells of connections and disconnections", async () => {
    await start("a");
    await machine.networks.closeSandbox("a");
    const id = machine.networks.get("bridge").Id;
    const seen = machine.events().map(({ Action, Actor }) => [Action, Actor.ID, Actor.Attributes["container"]]);
    expect(seen).toEqual([
      ["connect", id, "a"],
      ["disconnect", id, "a"],
    ]);
    expect(machine.events()[0]?.Actor.Attributes).toEqual({ name: "bridge", type: "bridge", container: "a" });
  });

  test("refuses what it cannot do, by name", async () => {
    await machine.networks.openSandbox("a");
    const connect = (config: object) => machine.networks.connect("bridge", { holder: "a", name: "a", config });
    expect(connect({ Aliases: ["x"] })).rejects.toMatchObject({ kind: "invalid" });
    expect(connect({ IPAMConfig: { IPv4Address: "1.2.3.4" } })).rejects.toMatchObject({ kind: "invalid" });
    expect(connect({ IPAMConfig: { IPv6Address: "fd00::1" } })).rejects.toMatchObject({ kind: "invalid" });
    expect(connect({ DriverOpts: { a: "b" } })).rejects.toMatchObject({ kind: "not-implemented" });
    expect(connect({ MacAddress: "01:00:00:00:00:01" })).rejects.toThrow("multicast");
    expect(connect({ MacAddress: "zz" })).rejects.toThrow("invalid MAC address: zz");
    expect(machine.networks.connect("host", { holder: "a", name: "a" })).rejects.toMatchObject({ kind: "forbidden" });
    expect(machine.networks.connect("nowhere", { holder: "a", name: "a" })).rejects.toThrow(
      "network nowhere not found",
    );
    expect(machine.networks.connect("bridge", { holder: "b", name: "b" })).rejects.toMatchObject({ kind: "not-found" });
    await connect({ MacAddress: "02-AA-00-00-00-01" });
    expect(machine.networks.endpoints("a")[0]?.macAddress).toBe("02:aa:00:00:00:01");
    expect(connect({})).rejects.toMatchObject({ kind: "forbidden" });
  });
});

describe("published ports", () => {
  test("answer on loopback, the host's own address, from a sibling and from the container itself, until it is closed", async () => {
    const a = await start("a", published(""));
    await start("b");
    const port = hostPort(a.ports);
    {
      using _server = await echoServer(machine, { holder: "a", protocol: "tcp", port: 80 });
      expect(await tcpEcho("127.0.0.1", port)).toBe("hello");
      expect(await tcpEcho("localhost", port)).toBe("hello");
      expect(await tcpEcho(ownAddress(), port)).toBe("hello");
      for (const from of ["b", "a"]) {
        const argv = [
          "nsenter",
          `--net=${machine.config.execRoot}/netns/${from}`,
          "/bin/busybox",
          "nc",
          "-w2",
          ownAddress(),
          String(port),
        ];
        expect((await run(argv, "hairpin")).stdout).toBe("hairpin");
      }
    }
    await machine.networks.closeSandbox("a");
    expect(await tcpEcho("127.0.0.1", port)).toBe("ECONNREFUSED");
  });

  test("bound to 127.0.0.1 are not there elsewhere", async () => {
    const a = await start("a", published("", "80/tcp", "127.0.0.1"));
    using _server = await echoServer(machine, { holder: "a", protocol: "tcp", port: 80 });
    const port = hostPort(a.ports);
    expect(await tcpEcho("127.0.0.1", port)).toBe("hello");
    expect(await tcpEcho(ownAddress(), port)).toBe("ECONNREFUSED");
  });

  test("work for UDP, also for a client that sent too early, and end for one that keeps sending", async () => {
    const port = 20000 + (process.pid % 20000);
    expect(await udpEcho("127.0.0.1", port, 0)).toBeUndefined();
    await start("a", published(port, "53/udp"));
    using _server = await echoServer(machine, { holder: "a", protocol: "udp", port: 53 });
    expect(await udpEcho("127.0.0.1", port)).toBe("hello");
    expect(await udpEcho(ownAddress(), port)).toBe("hello");
    await machine.networks.closeSandbox("a");
    expect(await udpEcho("127.0.0.1", port, 1)).toBeUndefined();
  });

  test("keep a container with raw packets from reaching the host's loopback", async () => {
    const a = await start("a");
    using server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (s) => void s.write("secret"), data: () => undefined },
    });
    const craft = [
      "sysctl -w net.ipv4.conf.all.route_localnet=1",
      "ip addr del 127.0.0.1/8 dev lo",
      "ip route flush table local",
      `ip route add local ${a.address} dev eth0 table local`,
      `ip route add 127.0.0.1 via ${a.gateway} dev eth0 src ${a.address}`,
    ];
    await run(["nsenter", `--net=${machine.config.execRoot}/netns/a`, "sh", "-c", craft.join("; ")]);
    const reach = async () => (await inside(machine, "a", "nc", "-w2", "127.0.0.1", String(server.port))).stdout;
    await run(["nft", "flush", "chain", "ip", `berth_${machine.config.tag}`, "guard"]);
    expect(await reach()).toBe("secret"); // so the attack is real
    await machine.restart(["a"]);
    expect(await reach()).toBe("");
  });

  test("conflict in Docker's words, and leave nothing", async () => {
    const a = await start("a", published(""));
    const port = hostPort(a.ports);
    await machine.networks.openSandbox("b");
    const again = (ip: string) =>
      machine.networks.connect("bridge", { holder: "b", name: "bee", ports: published(port, "80/tcp", ip) });
    expect(again("")).rejects.toThrow(
      new RegExp(
        `^driver failed programming external connectivity on endpoint bee \\([0-9a-f]{64}\\): Bind for 0\\.0\\.0\\.0:${port} failed: port is already allocated$`,
      ),
    );
    expect(again("127.0.0.1")).rejects.toThrow(`Bind for 127.0.0.1:${port} failed: port is already allocated`);
    using other = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data: () => undefined } });
    const taken = machine.networks.connect("bridge", { holder: "b", name: "b", ports: published(other.port) });
    expect(taken).rejects.toThrow(
      `failed to bind port 0.0.0.0:${other.port}/tcp: listen tcp4 0.0.0.0:${other.port}: bind: address already in use`,
    );
    const strange = machine.networks.connect("bridge", {
      holder: "b",
      name: "b",
      ports: published(8000, "80/tcp", "192.0.2.77"),
    });
    expect(strange).rejects.toThrow("bind: cannot assign requested address");
    await Promise.allSettled([taken, strange]);
    expect(machine.networks.endpoints("b")).toEqual([]);
    const { stdout } = await run(["ip", "-br", "link", "show", "master", machine.config.bridge]);
    expect(stdout.trim().split("\n")).toHaveLength(1);
    await machine.networks.closeSandbox("a");
    await again("");
  });

  test("take the first free one of a range, after the fixed ones", async () => {
    const free = await start("probe", published(""));
    const first = hostPort(free.ports);
    const range = { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: `${first}-${first + 9}` }] };
    const a = await start("a", range);
    expect(hostPort(a.ports)).toBeGreaterThan(first);
    await machine.networks.openSandbox("b");
    const full = { "80/tcp": [{ HostIp: "", HostPort: `${first}-${first}` }] };
    expect(machine.networks.connect("bridge", { holder: "b", name: "b", ports: full })).rejects.toThrow(
      "already allocated",
    );
  });

  test("hold their host port against other programs", async () => {
    const a = await start("a", published(""));
    expect(() =>
      Bun.listen({ hostname: "0.0.0.0", port: hostPort(a.ports), socket: { data: () => undefined } }),
    ).toThrow();
  });

  test("come by the hundred", async () => {
    const ports = Object.fromEntries(
      Array.from({ length: 600 }, (_, index) => [`${index + 1}/tcp`, [{ HostIp: "127.0.0.1", HostPort: "" }]]),
    );
    const a = await start("a", ports);
    using _server = await echoServer(machine, { holder: "a", protocol: "tcp", port: 600 });
    expect(await tcpEcho("127.0.0.1", hostPort(a.ports, "600/tcp"))).toBe("hello");
    expect(Object.keys(a.ports)).toHaveLength(600);
  });

  test("survive somebody flushing the ruleset: the next change makes the table anew", async () => {
    const a = await start("a", published(""));
    using _server = await echoServer(machine, { holder: "a", protocol: "tcp", port: 80 });
    await run(["nft", "delete", "table", "ip", `berth_${machine.config.tag}`]);
    const b = await start("b", published(""));
    expect(await tcpEcho("127.0.0.1", hostPort(a.ports))).toBe("hello");
    await run(["nft", "delete", "table", "ip", `berth_${machine.config.tag}`]);
    await machine.networks.closeSandbox("b");
    expect(await tcpEcho("127.0.0.1", hostPort(b.ports))).toBe("ECONNREFUSED");
    expect(await tcpEcho("127.0.0.1", hostPort(a.ports))).toBe("hello");
  });
});

describe("recover", () => {
  test("keeps what lives, with its ports, and removes the rest", async () => {
    const a = await start("a", published(""));
    const b = await start("b", published(""));
    using _server = await echoServer(machine, { holder: "a", protocol: "tcp", port: 80 });
    await machine.restart(["a"]);
    expect(machine.networks.endpoints("a")).toEqual([a]);
    expect(machine.networks.endpoints("b")).toEqual([]);
    expect(existsSync(`${machine.config.execRoot}/netns/b`)).toBe(false);
    expect(await tcpEcho("127.0.0.1", hostPort(a.ports))).toBe("hello");
    expect(await tcpEcho("127.0.0.1", hostPort(b.ports))).toBe("ECONNREFUSED");
    expect(() =>
      Bun.listen({ hostname: "0.0.0.0", port: hostPort(a.ports), socket: { data: () => undefined } }),
    ).toThrow();
    await machine.networks.closeSandbox("a");
    expect(await tcpEcho("127.0.0.1", hostPort(a.ports))).toBe("ECONNREFUSED");
  });

  test("makes bridge and table anew and plugs the living in again", async () => {
    const a = await start("a", published(""));
    using _server = await echoServer(machine, { holder: "a", protocol: "tcp", port: 80 });
    await run(["ip", "link", "del", machine.config.bridge]);
    await run(["nft", "delete", "table", "ip", `berth_${machine.config.tag}`]);
    await machine.restart(["a"]);
    expect(await tcpEcho("127.0.0.1", hostPort(a.ports))).toBe("hello");
  });

  test("removes links and namespaces that no row knows, and endpoints half made", async () => {
    const { tag, bridge, execRoot } = machine.config;
    await start("half");
    machine.db.write((tx) => tx.run("UPDATE endpoints SET ready = 0"));
    await run(
      ["ip", "-batch", "-"],
      `link add ve${tag}-lost type veth peer name vp${tag}\nlink set ve${tag}-lost master ${bridge}\n`,
    );
    await run(["ip", "link", "add", `br${tag}-lost`, "type", "bridge"]);
    await Bun.write(`${execRoot}/netns/lost`, "");
    await machine.restart(["half"]);
    expect(machine.networks.endpoints("half")).toEqual([]);
    const { stdout } = await run(["ip", "-br", "link"]);
    expect(stdout).not.toContain(`${tag}-`);
    expect(existsSync(`${execRoot}/netns/lost`)).toBe(false);
    expect(existsSync(`${execRoot}/netns/half`)).toBe(true);
  });

  test("warns of a port taken meanwhile and goes on", async () => {
    const a = await start("a", published(""));
    const port = hostPort(a.ports);
    await machine.restart([]);
    expect(await tcpEcho("127.0.0.1", port)).toBe("ECONNREFUSED");
    using _other = Bun.listen({ hostname: "0.0.0.0", port, socket: { data: () => undefined } });
    const b = await start("b");
    machine.db.write((tx) => tx.run("INSERT INTO ports VALUES (?, 'tcp', '0.0.0.0', ?, 80)", [b.id, port]));
    await machine.restart(["b"]);
    expect(hostPort(machine.networks.endpoints("b")[0]?.ports ?? {})).toBe(port);
  });

  test("shutdown leaves all in place while somebody is connected", async () => {
    const a = await start("a", published(""));
    using _server = await echoServer(machine, { holder: "a", protocol: "tcp", port: 80 });
    await machine.networks.shutdown();
    expect(await tcpEcho("127.0.0.1", hostPort(a.ports))).toBe("hello");
  });
});
