import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createProcesses } from "../processes.ts";
import { createNet } from "./net.ts";
import { PortError } from "./port.ts";
import type { VlanKind } from "./vlan.ts";

const net = createNet(createProcesses());
const unique = `n${(process.pid % 46656).toString(36)}`;
let directory = "";
let path = "";
/** A pair lives on for some milliseconds after its namespace: every test has names of its own. */
let veth = "";
let count = 0;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "berth-net-"));
  path = join(directory, "ns");
  veth = `${unique}v${count++}`;
  await run(["ip", "link", "add", unique, "type", "bridge"]);
});
afterEach(async () => {
  net.removeNamespace(path);
  await run(["ip", "link", "del", unique]);
  rmSync(directory, { recursive: true });
});

async function run(argv: readonly string[], stdin?: string) {
  return await createProcesses().run(argv, stdin === undefined ? {} : { stdin });
}

const six = { address: "fd00:230::2", prefixLength: 64 };
const plan = () => ({
  name: veth,
  bridge: unique,
  namespace: path,
  inside: "eth0",
  macAddress: "02:42:0a:e6:00:02",
  address: "10.230.0.2",
  prefixLength: 24,
});

describe("namespaces", () => {
  test("are made with loopback up, and this process stays outside with every thread", async () => {
    const own = readlinkSync("/proc/self/ns/net");
    for (let round = 0; round < 50; round++) {
      await net.createNamespace(path);
      net.removeNamespace(path);
    }
    const threads = readdirSync("/proc/self/task").map((thread) => readlinkSync(`/proc/self/task/${thread}/ns/net`));
    expect(new Set(threads)).toEqual(new Set([own]));
    await net.createNamespace(path);
    const { stdout } = await run(["nsenter", `--net=${path}`, "ip", "-br", "addr"]);
    expect(stdout).toContain("127.0.0.1/8");
    expect(stdout.trim().split("\n")).toHaveLength(1);
    const setting = await run(["nsenter", `--net=${path}`, "sysctl", "-n", "net.ipv6.conf.default.disable_ipv6"]);
    expect(setting.stdout).toBe("1\n");
    net.removeNamespace(path);
    net.removeNamespace(path);
    expect(existsSync(path)).toBe(false);
  });

  test("move, but not over what is there", async () => {
    const other = join(directory, "other");
    await net.createNamespace(path);
    const inode = statSync(path).ino;
    net.moveNamespace(path, other);
    expect(existsSync(path)).toBe(false);
    expect(statSync(other).ino).toBe(inode);
    await net.createNamespace(path);
    expect(() => net.moveNamespace(path, other)).toThrow("EEXIST");
    expect(() => net.moveNamespace(join(directory, "absent"), join(directory, "new"))).toThrow("ENOENT");
    expect(readdirSync(directory).toSorted()).toEqual(["ns", "other"]);
    net.removeNamespace(other);
  });

  test("leave nothing without their programs, and name the package", async () => {
    const lacking = (path: string) =>
      createNet({
        ...createProcesses(),
        run: (argv, options) => createProcesses().run(argv, { ...options, env: { PATH: path } }),
      });
    await expect(lacking("/nowhere").createNamespace(path)).rejects.toThrow("Debian package util-linux");
    for (const name of ["unshare", "sh", "nsenter"]) symlinkSync(`/usr/bin/${name}`, join(directory, name));
    await expect(lacking(directory).createNamespace(path)).rejects.toThrow("Debian package iproute2");
    expect(existsSync(path)).toBe(false);
    await net.createNamespace(path);
    const failure = lacking(directory).plugVeth(plan());
    await expect(failure).rejects.toMatchObject({ kind: "unavailable" });
    await expect(failure).rejects.toThrow("Debian package iproute2");
    expect((await run(["ip", "link", "show", veth])).code).not.toBe(0);
  });

  test("are not made over what is there", async () => {
    await net.createNamespace(path);
    await expect(net.createNamespace(path)).rejects.toThrow("EEXIST");
    await expect(net.createNamespace(join(directory, "absent", "ns"))).rejects.toThrow("ENOENT");
  });
});

describe("veths", () => {
  test("are plugged in whole, and unplugged at once", async () => {
    await net.createNamespace(path);
    await net.plugVeth({ ...plan(), gateway: "10.230.0.1", mtu: 1400, isolated: true });
    const within = (await run(["nsenter", `--net=${path}`, "ip", "addr"])).stdout;
    expect(within).toContain("inet 10.230.0.2/24 brd 10.230.0.255");
    expect(within).toContain("link/ether 02:42:0a:e6:00:02");
    expect(within).toContain("mtu 1400");
    const port = (await run(["bridge", "-d", "link", "show", "dev", veth])).stdout;
    expect(port).toContain("hairpin on");
    expect(port).toContain("isolated on");
    expect(within.match(/inet6 .*/g)).toEqual(["inet6 ::1/128 scope host "]);
    expect((await run(["nsenter", `--net=${path}`, "ip", "route"])).stdout).toContain("default via 10.230.0.1");
    net.unplugVeth(veth);
    expect((await run(["ip", "-br", "link", "show", "master", unique])).stdout).toBe("");
    net.unplugVeth("absent0");
  });

  test("leave nothing when they fail", async () => {
    await expect(net.plugVeth(plan())).rejects.toThrow(`Network namespace ${path} not found`);
    await net.createNamespace(path);
    await expect(net.plugVeth({ ...plan(), bridge: "absent0" })).rejects.toThrow("Network link absent0");
    await expect(net.plugVeth({ ...plan(), gateway: "10.99.0.1" })).rejects.toThrow("Plug");
    expect((await run(["ip", "link", "show", veth])).code).not.toBe(0);
    await net.plugVeth(plan());
    await expect(net.plugVeth(plan())).rejects.toThrow("EEXIST");
  });

  test("get default routes later, in place of the ones that are there", async () => {
    await net.createNamespace(path);
    await net.plugVeth({ ...plan(), gateway: "10.230.0.9" });
    await net.setRoutes({ namespace: path, inside: "eth0", gateways: ["10.230.0.1"], routes: [{ to: "10.9.9.0/24" }] });
    const { stdout } = await run(["nsenter", `--net=${path}`, "ip", "route"]);
    expect(stdout.match(/^(default|10.9.9.0).*/gm)).toEqual([
      "default via 10.230.0.1 dev eth0 ",
      "10.9.9.0/24 dev eth0 scope link ",
    ]);
    const absent = { namespace: join(directory, "absent"), inside: "eth0", gateways: ["10.230.0.1"] };
    await expect(net.setRoutes(absent)).rejects.toThrow("not found");
  });

  test("have further addresses and settings of their own", async () => {
    await net.createNamespace(path);
    const sysctls = [{ path: "net/ipv4/conf/eth0/log_martians", value: "1" }];
    await net.plugVeth({ ...plan(), addresses: ["169.254.7.7/16", "fe80::7/64"], sysctls, six });
    const within = (await run(["nsenter", `--net=${path}`, "ip", "addr"])).stdout;
    for (const address of ["169.254.7.7/16", "fe80::7/64", "fd00:230::2/64"]) expect(within).toContain(address);
    const setting = await run(["nsenter", `--net=${path}`, "cat", "/proc/sys/net/ipv4/conf/eth0/log_martians"]);
    expect(setting.stdout).toBe("1\n");
    net.removeNamespace(path);
    await net.createNamespace(path);
    const wrong = { ...plan(), name: `${veth}b`, sysctls: [{ path: "net/ipv4/conf/eth0/nonsense", value: "1" }] };
    await expect(net.plugVeth(wrong)).rejects.toThrow("nonsense");
  });
});

describe("links of the host", () => {
  test("are known by kind, and so is what routes lead by them", async () => {
    expect([net.linkKind(unique), net.linkKind("lo"), net.linkKind("absent0")]).toEqual(["bridge", "", undefined]);
    await run(["ip", "-batch", "-"], `addr add 10.230.0.1/24 dev ${unique}\nlink set ${unique} up\n`);
    await run(["ip", "route", "add", "10.231.7.0/25", "dev", unique, "table", "77"]);
    const found = net.hostRoutes(4).find((route) => route.destination.equals(Buffer.of(10, 231, 7, 0)));
    expect(found?.prefixLength).toBe(25);
    expect(found && net.routeLink(found)).toBe(unique);
    expect(net.routeLink({ destination: Buffer.alloc(4), prefixLength: 0, link: 0 })).toBeUndefined();
    expect(net.hostRoutes(6).every(({ destination }) => destination.length === 16)).toBe(true);
  });
});

describe("macvlan and ipvlan", () => {
  const { name: _, bridge: __, ...within } = plan();
  const vlan = (kind: VlanKind) => ({ ...within, namespace: path, parent: unique, kind });
  const known = Bun.spawnSync(["ip", "link", "add", "name", "berth-probe", "type", "ipvlan"]).stderr.toString();
  const hasIpvlan = !/Unknown device type|not supported/.test(known);

  test("are made inside, never on the host, and go with it", async () => {
    await net.createNamespace(path);
    await run(["ip", "link", "set", unique, "up"]);
    await net.plugVlan({ ...vlan({ type: "macvlan", mode: "private" }), gateway: "10.230.0.1", mtu: 1400 });
    const shown = (await run(["nsenter", `--net=${path}`, "ip", "-d", "addr"])).stdout;
    for (const text of ["macvlan mode private", "link/ether 02:42:0a:e6:00:02", "10.230.0.2/24 brd", "mtu 1400"]) {
      expect(shown).toContain(text);
    }
    expect((await run(["nsenter", `--net=${path}`, "ip", "route"])).stdout).toContain("default via 10.230.0.1");
    expect((await run(["ip", "-d", "link"])).stdout).not.toContain("macvlan mode private");
    await net.unplugInside({ namespace: path, inside: "eth0" });
    expect((await run(["nsenter", `--net=${path}`, "ip", "-br", "link"])).stdout.trim().split("\n")).toHaveLength(1);
  });

  test.skipIf(!hasIpvlan)("of ipvlan have a mode and a flag, and the parent's MAC address", async () => {
    await net.createNamespace(path);
    await run(["ip", "link", "set", unique, "up"]);
    const { macAddress: ___, ...plain } = vlan({ type: "ipvlan", mode: "l3", flag: "vepa" });
    await net.plugVlan({ ...plain, routes: [{ to: "0.0.0.0/0" }] });
    const shown = (await run(["nsenter", `--net=${path}`, "ip", "-d", "link"])).stdout.replaceAll(/ +/g, " ");
    expect(shown).toContain("ipvlan mode l3 vepa");
    expect((await run(["nsenter", `--net=${path}`, "ip", "route"])).stdout).toContain("default dev eth0");
  });

  test("leave nothing when they fail", async () => {
    const plan = vlan({ type: "macvlan", mode: "bridge" });
    await expect(net.plugVlan(plan)).rejects.toThrow("not found");
    await net.createNamespace(path);
    await expect(net.plugVlan({ ...plan, parent: "absent0" })).rejects.toThrow("Network link absent0");
    await expect(net.plugVlan({ ...plan, gateway: "10.99.0.1" })).rejects.toThrow(`Make macvlan eth0 on ${unique}`);
    await net.plugVlan(plan);
    const other = { ...vlan({ type: "ipvlan", mode: "l2", flag: "bridge" }), inside: "eth1" };
    await expect(net.plugVlan(other)).rejects.toThrow(/failed to create the ipvlan port: (EBUSY|this kernel)/);
  });
});

describe("nft elements", () => {
  const table = `berth_net_${unique}`;
  const key = (port: number) => Buffer.from([6, 0, 0, 0, port >> 8, port & 255, 0, 0]);
  const value = Buffer.from([10, 230, 0, 2, 0, 80, 0, 0]);

  test("come and go in transactions, also by the thousand", async () => {
    await run(
      ["nft", "-f", "-"],
      `table ip ${table} {\n map m { type inet_proto . inet_service : ipv4_addr . inet_service; }\n}\n`,
    );
    try {
      const add = Array.from(
        { length: 20_000 },
        (_, port) => ({ change: "add", set: "m", key: key(port), value }) as const,
      );
      net.changeElements({ family: "ip", table: table }, add);
      const listed = async () => (await run(["nft", "list", "map", "ip", table, "m"])).stdout;
      expect(await listed()).toContain("tcp . 19999 : 10.230.0.2 . 80");
      const absent = { change: "delete", set: "m", key: key(30000) } as const;
      expect(() => net.changeElements({ family: "ip", table: table }, [{ ...absent, key: key(1) }, absent])).toThrow(
        "ENOENT",
      );
      expect(await listed()).toContain("tcp . 1 : ");
      net.changeElements({ family: "ip", table: table }, [{ ...absent, key: key(1) }]);
      expect(await listed()).not.toContain("tcp . 1 : ");
      net.changeElements({ family: "ip", table: table }, []);
    } finally {
      await run(["nft", "delete", "table", "ip", table]);
    }
    expect(() =>
      net.changeElements({ family: "ip", table: table }, [{ change: "add", set: "m", key: key(1), value }]),
    ).toThrow("ENOENT");
  });
});

test("the rules of the host have a generation, and chains that are hooked", async () => {
  const table = `berth_rules_${unique}`;
  const before = net.rulesetGeneration();
  expect(net.rulesetGeneration()).toBeGreaterThanOrEqual(before);
  const chains = " chain plain {\n }\n chain f {\n type filter hook forward priority 0; policy accept;\n }\n";
  await run(["nft", "-f", "-"], `table inet ${table} {\n${chains}}\n`);
  try {
    expect(net.rulesetGeneration()).toBeGreaterThan(before);
    expect(net.hookedChains().filter((chain) => chain.table === table)).toEqual([
      { table, name: "f", hook: "forward" },
    ]);
  } finally {
    await run(["nft", "delete", "table", "inet", table]);
  }
});

describe("the ruleset", () => {
  const at = { family: "ip", table: `berth_net_${unique}` } as const;
  const table = `ip ${at.table}`;
  const nft = (script: string) => run(["nft", "-f", "-"], script);
  afterEach(() => nft(`table ${table}\ndelete table ${table}\n`));

  test("is read as far as it tells who touched it", async () => {
    const make = `table ${table} {\n chain a {\n drop comment "mine"\n accept\n }\n chain b {\n drop\n }\n}\n`;
    expect(net.nftRules(at)).toBeUndefined();
    await nft(make);
    const first = net.nftRules(at);
    expect(first?.rules.map(({ comment }) => comment)).toEqual(["mine", "", ""]);
    expect(net.nftRules(at, "b")?.rules).toEqual(first?.rules.slice(2) ?? []);
    expect(net.nftRules(at, "c")).toBeUndefined();
    await nft(`flush chain ${table} b\n`);
    expect(net.nftRules(at)?.rules).toEqual(first?.rules.slice(0, 2) ?? []);
    await nft(`delete table ${table}\n${make}`);
    expect(net.nftRules(at)?.handle).not.toBe(first?.handle);
  });

  test("tells of changes, once each however much they change, until nobody listens", async () => {
    const told = Promise.withResolvers<void>();
    let count = 0;
    let ended = false;
    const watch = await net.watchRuleset({
      changed: () => {
        if (++count === 1) told.resolve();
      },
      ended: () => {
        ended = true;
      },
    });
    const elements = Array.from({ length: 5000 }, (_, index) => index + 1).join(", ");
    await nft(`table ${table} {\n set s {\n type inet_service\n elements = { ${elements} }\n }\n}\n`);
    await told.promise;
    expect(ended).toBe(false); // thousands of messages would have been more than a socket takes
    watch[Symbol.dispose]();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const before = count;
    await nft(`flush set ${table} s\n`);
    expect([count, ended]).toEqual([before, true]);
  });

  test("flows are forgotten by port and by who answers", async () => {
    await nft(`table ${table} {\n chain track {\n type filter hook output priority 0\n ct state new accept\n }\n}\n`);
    const answering = await Bun.udpSocket({ hostname: "127.0.0.1", socket: { data: () => undefined } });
    const asking = await Bun.udpSocket({ hostname: "127.0.0.1" });
    const here = { family: "ip", protocol: 17, ports: new Set([answering.port]) } as const;
    const flow = () => void asking.send("hello", answering.port, "127.0.0.1");
    try {
      flow();
      expect(await net.forgetFlows({ ...here, answeredBy: "127.0.0.2" })).toBe(0);
      expect(await net.forgetFlows({ ...here, protocol: 132 })).toBe(0);
      expect(await net.forgetFlows({ ...here, ports: new Set([answering.port ^ 1]) })).toBe(0);
      expect(await net.forgetFlows({ ...here, answeredBy: "127.0.0.1" })).toBe(1);
      expect(await net.forgetFlows(here)).toBe(0);
      flow();
      expect(await Promise.all([net.forgetFlows(here), net.forgetFlows(here)])).toEqual([1, 0]);
    } finally {
      answering.close();
      asking.close();
    }
  });
});

describe("ports", () => {
  test.each(["tcp", "udp"] as const)("of %s are held until released", (protocol) => {
    using group = net.portGroup();
    const here = { protocol, address: "127.0.0.1" };
    const port = group.reserve({ ...here, port: 0 });
    expect(port).toBeGreaterThan(0);
    using other = net.portGroup();
    const again = () => other.reserve({ protocol, address: "0.0.0.0", port });
    expect(again).toThrow(new PortError("EADDRINUSE"));
    group.release([{ ...here, port }]);
    group.release([{ ...here, port }]);
    expect(again()).toBe(port);
    expect(() => other.reserve({ protocol, address: "192.0.2.99", port: 0 })).toThrow(new PortError("EADDRNOTAVAIL"));
  });

  test("of SCTP are held where the kernel has such sockets, else that is said", () => {
    using group = net.portGroup();
    const request = { protocol: "sctp", address: "127.0.0.1", port: 0 } as const;
    const reserve = () => {
      try {
        return group.reserve(request);
      } catch (err) {
        expect(err).toEqual(new PortError("EPROTONOSUPPORT"));
        return 0;
      }
    };
    const port = reserve(); // which loads the kernel's module, if it has one
    expect(port > 0).toBe(existsSync("/proc/net/sctp"));
  });

  test("by the thousand take few descriptors, and each can be released alone", () => {
    const descriptors = () => readdirSync("/proc/self/fd").length;
    const before = descriptors();
    const here = { protocol: "tcp", address: "127.0.0.1" } as const;
    {
      using group = net.portGroup();
      const ports = Array.from({ length: 1000 }, () => group.reserve({ ...here, port: 0 }));
      expect(descriptors() - before).toBeLessThan(100);
      using other = net.portGroup();
      const take = (port: number) => other.reserve({ ...here, port });
      const some = ports.filter((_, index) => index % 37 === 0);
      for (const port of some) expect(() => take(port)).toThrow(new PortError("EADDRINUSE"));
      group.release(some.map((port) => ({ ...here, port })));
      for (const port of some) expect(take(port)).toBe(port);
      for (const port of ports) if (!some.includes(port)) expect(() => take(port)).toThrow(new PortError("EADDRINUSE"));
      expect(descriptors() - before).toBeLessThan(130);
    }
    expect(descriptors()).toBeLessThanOrEqual(before); // tests before this one may have let go of some meanwhile
  });
});
