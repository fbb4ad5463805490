import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { inside, leftovers, type Machine, openMachine, run, until } from "../testing/fixture.ts";

let machine: Machine;
let resolvConf: string;
beforeEach(async () => {
  resolvConf = `/tmp/berth-resolv-${process.pid}`;
  writeFileSync(resolvConf, "nameserver 192.0.2.1\n");
  machine = await openMachine({ resolvConf });
});
afterEach(async () => {
  await machine.end();
  expect(await leftovers(machine)).toEqual([]);
  await Bun.file(resolvConf).delete();
});

const rest = { Attachable: false, Ingress: false, ConfigOnly: false, EnableIPv6: false, Options: {}, Labels: {} };

function network(Name: string, more: object = {}): Promise<unknown> {
  return machine.networks.create({ Name, Driver: "bridge", Internal: false, ...rest, ...more });
}

async function join(holder: string, ...networks: readonly string[]): Promise<string> {
  await machine.networks.openSandbox(holder);
  const addresses: string[] = [];
  for (const name of networks) addresses.push((await plug(holder, name)).address);
  return addresses[0] ?? "";
}

function plug(holder: string, name: string, config: object = {}) {
  return machine.networks.connect(name, { holder, name: holder, dnsNames: [`id-${holder}`], config });
}

/** The addresses that a program in the sandbox gets for a name. */
async function lookUp(holder: string, name: string, ...flags: readonly string[]): Promise<string[]> {
  const { stdout } = await inside(machine, holder, "nslookup", ...flags, name, "127.0.0.11");
  const answers = stdout.split("\n").slice(3).join("\n");
  return [...answers.matchAll(/^Address[^:]*: (\S+)$/gm)].map((match) => match[1] ?? "");
}

describe("names in a user's network", () => {
  test("resolve at 127.0.0.11, in one's own networks only", async () => {
    await network("front");
    await network("back");
    await join("web", "front");
    const db = await join("db", "front", "back");
    const cache = await join("cache", "back");
    expect(await lookUp("web", "db")).toEqual([db]);
    expect(await lookUp("web", "id-db")).toEqual([db]);
    expect(await lookUp("web", "db.front")).toEqual([db]);
    expect(await lookUp("db", "cache")).toEqual([cache]);
    expect(await lookUp("web", "cache")).toEqual([]);
  });

  test("follow who comes, goes, and is renamed", async () => {
    await network("front");
    await join("web", "front");
    const db = await join("db", "front");
    await machine.networks.rename("db", "store");
    await until(async () => (await lookUp("web", "store")).includes(db));
    expect(await lookUp("web", "db")).toEqual([]);
    await machine.networks.closeSandbox("db");
    await until(async () => (await lookUp("web", "store")).length === 0);
  });

  test("leave the port to the container, and lead to nothing else of the host's", async () => {
    await network("front");
    await join("web", "front");
    const { stdout } = await inside(machine, "web", "netstat", "-lnu");
    expect(stdout).not.toContain(":53");
    const { code } = await inside(machine, "web", "nc", "-w", "1", "169.254.127.11", "54");
    expect(code).not.toBe(0);
  });

  test("by TCP, with more records than fit into a datagram", async () => {
    await network("front");
    await join("web", "front");
    for (let number = 0; number < 40; number++) await join0(`w${number}`);
    const query =
      "\\000\\031\\000\\001\\001\\000\\000\\001\\000\\000\\000\\000\\000\\000\\007workers\\000\\000\\001\\000\\001";
    const script = `printf '${query}' | nc -w 2 127.0.0.11 53 | od -An -tu1 -N 10`;
    const { stdout } = await inside(machine, "web", "sh", "-c", script);
    const bytes = stdout.trim().split(/\s+/).map(Number);
    expect((bytes[8] ?? 0) * 256 + (bytes[9] ?? 0)).toBe(40);
  });

  test("go on with the network that is left", async () => {
    await network("front");
    await network("back");
    await join("web", "front", "back");
    const cache = await join("cache", "back");
    await machine.networks.disconnect("front", "web");
    expect(await lookUp("web", "cache")).toEqual([cache]);
  });

  test("after the daemon was killed, too", async () => {
    await network("front");
    await join("web", "front");
    const db = await join("db", "front");
    await machine.restart(["web", "db"]);
    expect(await lookUp("web", "db")).toEqual([db]);
  });

  test("after the resolver died, too", async () => {
    await network("front");
    await join("web", "front");
    const db = await join("db", "front");
    await machine.crashResolver();
    await until(async () => (await lookUp("web", "db")).includes(db));
  });

  test("when those who ask leave before the answer comes", async () => {
    await network("front");
    await join("web", "front");
    const db = await join("db", "front");
    const ask = `
import socket
for n in range(300):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(bytes([0, n % 256, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2]) + b"db" + bytes([0, 0, 1, 0, 1]), ("127.0.0.11", 53))
    s.close()`;
    const namespace = `--net=${machine.config.execRoot}/netns/web`;
    expect((await run(["nsenter", namespace, "python3", "-c", ask])).code).toBe(0);
    expect(await lookUp("web", "db")).toEqual([db]);
    expect(machine.errors).toEqual([]);
  });

  test("in an internal network and between containers that may not talk", async () => {
    await network("inner", { Internal: true });
    await network("silent", { Options: { "com.docker.network.bridge.enable_icc": "false" } });
    await join("web", "inner");
    const db = await join("db", "inner");
    expect(await lookUp("web", "db")).toEqual([db]);
    await join("one", "silent");
    const two = await join("two", "silent");
    expect(await lookUp("one", "two")).toEqual([two]);
  });

  test("need no route between networks: the resolver passes nothing on", async () => {
    await network("front");
    await network("back");
    await join("web", "front");
    const cache = await join("cache", "back");
    await machine.networks.connect("front", { holder: "cache", name: "cache" });
    await inside(machine, "web", "ip", "route", "replace", cache, "via", "169.254.127.11", "dev", "eth0", "onlink");
    const { code } = await inside(machine, "web", "ping", "-c", "1", "-W", "1", cache);
    expect(code).not.toBe(0);
  });
});

async function join0(holder: string): Promise<void> {
  await machine.networks.openSandbox(holder);
  await plug(holder, "front", { Aliases: ["workers"] });
}

describe("names of the world", () => {
  test("come from the container's own resolvers, or the host's, and silence is a failure soon", async () => {
    await network("front");
    await join("web", "front");
    const started = Date.now();
    const { stdout, stderr } = await inside(machine, "web", "nslookup", "-type=a", "example.org", "127.0.0.11");
    expect(stdout + stderr).toMatch(/SERVFAIL|server can't find|timed out|can't resolve/);
    expect(Date.now() - started).toBeLessThan(15_000);
  });

  test("a resolver that hangs keeps nobody from local names", async () => {
    await network("front");
    await join("web", "front");
    const db = await join("db", "front");
    const flood = inside(
      machine,
      "web",
      "sh",
      "-c",
      "for i in 1 2 3 4 5 6 7 8; do nslookup x$i.org 127.0.0.11 & done; wait",
    );
    expect(await lookUp("web", "db")).toEqual([db]);
    await flood;
  });
});

test("the default network has no resolver", async () => {
  expect(machine.networks.resolver("bridge")).toBeUndefined();
  await network("front");
  expect(machine.networks.resolver("front")).toBe("127.0.0.11");
});
