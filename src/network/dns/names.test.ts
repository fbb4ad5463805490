import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { bytes6 } from "../address6.ts";
import { inside, leftovers, type Machine, openMachine, run, until } from "../testing/fixture.ts";
import { encodeName, types } from "./message.ts";
import { messages, withLength } from "./stream.ts";

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

/** Sends messages from within a sandbox, by UDP or each on a TCP connection of its own, and gives the answers of the last `wanted`. */
async function exchange(holder: string, sent: readonly Buffer[], { tcp = false, wanted = 1 } = {}): Promise<Buffer[]> {
  const ask = `
import socket, struct, sys
messages = [bytes.fromhex(line) for line in sys.stdin.read().split("\\n")]
tcp, wanted = ${tcp ? "True" : "False"}, ${wanted}
def opened():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 23) # SO_RCVBUFFORCE: nothing is read before all is sent
    s.settimeout(5); s.connect(("127.0.0.11", 53)); return s
plain = opened()
for number, m in enumerate(messages):
    s = plain if not tcp else opened()
    s.sendall(struct.pack(">H", len(m)) + m if tcp else m)
    if number < len(messages) - wanted: continue
    if not tcp:
        while (a := s.recv(65535))[:2] != m[:2]: pass
    else:
        f = s.makefile("rb"); a = f.read(struct.unpack(">H", f.read(2))[0])
    print(a.hex())
`;
  const namespace = `--net=${machine.config.execRoot}/netns/${holder}`;
  const stdin = sent.map((message) => message.toString("hex")).join("\n");
  const { code, stdout, stderr } = await run(["nsenter", namespace, "python3", "-c", ask], stdin);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout
    .trim()
    .split("\n")
    .map((line) => Buffer.from(line, "hex"));
}

function query(name: string, type: number, id = 0x4d4d): Buffer {
  const header = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, encodeName(name), Buffer.from([0, type, 0, 1])]);
}

const counted = ([answer]: readonly Buffer[]) => [(answer?.[3] ?? 0) & 15, answer?.readUInt16BE(6)];

test("addresses of both kinds have names, and the host is the network's gateway", async () => {
  await network("front", { EnableIPv6: true });
  await join("web", "front");
  await machine.networks.openSandbox("db");
  const { address, address6 = "", gateway, gateway6 = "" } = await plug("db", "front");
  const four = `${address.split(".").reverse().join(".")}.in-addr.arpa`;
  const six = `${[...bytes6(address6).toString("hex")].reverse().join(".")}.ip6.arpa`;
  for (const name of [four, six]) {
    const [answer] = await exchange("web", [query(name, types.PTR)]);
    expect(answer?.toString("latin1")).toEndWith("\x02db\x05front\0");
  }
  expect(await lookUp("web", "db", "-type=a")).toEqual([address]);
  expect(await lookUp("web", "db", "-type=aaaa")).toEqual([address6]);
  expect(await lookUp("web", "host.docker.internal", "-type=a")).toEqual([gateway]);
  expect(await lookUp("web", "host.docker.internal", "-type=aaaa")).toEqual([gateway6]);
});

test("what is no query gets no answer and does no harm, and nobody gets a zone", async () => {
  await network("front");
  await join("web", "front");
  await join("db", "front");
  const good = query("db", types.A);
  const loop = Buffer.concat([good.subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]);
  const answer = Buffer.from(good);
  answer[2] = 0x81;
  const hostile = [
    ...[Buffer.of(1), good.subarray(0, 11), good.subarray(0, 15), loop, answer, Buffer.alloc(1400, 63)],
    ...[Buffer.alloc(60_000, 0xc0), Buffer.concat([good.subarray(0, 12), Buffer.alloc(60_000, 1)])],
  ];
  const flood = Array.from({ length: 400 }, () => hostile).flat();
  expect(counted(await exchange("web", [...flood, query("db", types.A, 7)]))).toEqual([0, 1]);
  expect(counted(await exchange("web", [...hostile, query("db", types.A, 7)], { tcp: true }))).toEqual([0, 1]);
  for (const type of [types.AXFR, types.IXFR]) {
    expect(counted(await exchange("web", [query("db", type)], { tcp: true }))).toEqual([5, 0]);
  }
  expect(counted(await exchange("web", [query("db", types.ANY)]))).toEqual([0, 1]);
  expect(machine.errors).toEqual([]);
});

describe("names of the world", () => {
  test("come from a resolver on the host's loopback, by TCP where they do not fit", async () => {
    const address = `127.${(process.pid >> 8) & 255}.${process.pid & 255}.53`;
    writeFileSync(resolvConf, `nameserver ${address}\n`);
    using _resolver = await worldly(address);
    await network("front");
    await join("web", "front");
    const asked = query("big.example", types.A);
    const [short = Buffer.alloc(4)] = await exchange("web", [asked]);
    expect(short.readUInt16BE(2) & 0x200).toBe(0x200);
    const [long] = await exchange("web", [asked], { tcp: true });
    expect(long?.length).toBe(50_000);
  });

  test("thousands of questions that hang keep nobody from local names, nor from the world's by another resolver", async () => {
    const address = `127.${(process.pid >> 8) & 255}.${process.pid & 255}.53`;
    using _resolver = await worldly(address);
    await network("front");
    await join("web", "front");
    await machine.networks.openSandbox("other");
    await machine.networks.connect("front", { holder: "other", name: "other", upstreams: [address] });
    const flood = Array.from({ length: 3000 }, (_, at) => query(`x${at}.example`, types.A, at));
    const hanging = exchange("web", [...flood, query("web", types.A, 0xffff)]);
    expect(counted(await hanging)).toEqual([0, 1]);
    expect((await exchange("other", [query("big.example", types.A)]))[0]?.length).toBeGreaterThan(12);
    expect(await lookUp("web", "other")).toHaveLength(1);
  });

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

/** A resolver on the host that says by UDP that the answer is too long, and by TCP says it. */
async function worldly(hostname: string): Promise<Disposable> {
  const flagged = (asked: Buffer, flags: number) => {
    const bytes = Buffer.from(asked);
    bytes.writeUInt16BE(flags, 2);
    return bytes;
  };
  const datagrams = await Bun.udpSocket({
    ...{ hostname, port: 53 },
    socket: { data: (socket, bytes, port, from) => void socket.send(flagged(bytes, 0x8380), port, from) },
  });
  const streams = Bun.listen({
    ...{ hostname, port: 53 },
    socket: {
      data(socket, bytes) {
        for (const asked of messages(bytes).queries)
          socket.end(withLength(Buffer.concat([flagged(asked, 0x8180), Buffer.alloc(50_000 - asked.length)])));
      },
    },
  });
  return {
    [Symbol.dispose]() {
      datagrams.close();
      streams.stop(true);
    },
  };
}

test("the default network has no resolver", async () => {
  expect(machine.networks.resolver("bridge")).toBeUndefined();
  await network("front");
  expect(machine.networks.resolver("front")).toBe("127.0.0.11");
});
