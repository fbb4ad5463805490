import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { freePort } from "../support/registry.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

/** An address of this host that others use, too. */
const ownAddress = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === "IPv4" && !one.internal)?.address;

/** A container that answers every TCP connection on port 80 with its name. */
async function server(name: string, ...flags: string[]): Promise<string> {
  const script = `while :; do echo ${name} | nc -l -p 80 2>/dev/null; done`;
  await engine.ok("run", "-d", "--name", name, ...flags, "busybox", "sh", "-c", script);
  return engine.ok("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name);
}

/** What a connection to this address says, asked until somebody answers. */
async function hears(host: string, port: number): Promise<string> {
  return until(`${host}:${port} answers`, async () => {
    const said = await Bun.$`busybox nc -w 2 ${host} ${port} < /dev/null`.quiet().nothrow().text();
    return said.trim();
  });
}

async function refuses(host: string, port: number): Promise<boolean> {
  const { exitCode } = await Bun.$`busybox nc -w 2 ${host} ${port} < /dev/null`.quiet().nothrow();
  return exitCode !== 0;
}

const inside = (script: string, ...flags: string[]) =>
  engine.ok("run", "--rm", ...flags, "busybox", "sh", "-c", script);

describe("publishing", () => {
  test("-p HOST:CONTAINER answers on loopback, on the host's own address, from siblings and from itself", async () => {
    const port = await freePort();
    const address = await server("web", "-p", `${port}:80`);
    expect(await hears("127.0.0.1", port)).toBe("web");
    expect(await hears(address, 80)).toBe("web");
    const own = ownAddress ?? "";
    expect(own).not.toBe("");
    expect(await hears(own, port)).toBe("web");
    const gateway = await engine.ok("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}");
    const ask = (host: string, to: number) =>
      `for i in $(seq 100); do nc -w 2 ${host} ${to} < /dev/null && break; usleep 50000; done`;
    expect(await inside(ask(own, port))).toBe("web");
    expect(await inside(ask(gateway, port))).toBe("web");
    expect(await inside(ask(address, 80))).toBe("web");
    expect(await engine.ok("exec", "web", "sh", "-c", ask(own, port))).toBe("web");
    await engine.ok("rm", "-f", "web");
    expect(await refuses("127.0.0.1", port)).toBe(true);
  });

  test("-p CONTAINER picks a free port, -P takes all exposed ones", async () => {
    await server("any", "-p", "80");
    const port = Number((await engine.ok("port", "any", "80")).split(":").at(-1));
    expect(await hears("127.0.0.1", port)).toBe("any");
    await server("all", "-P", "--expose", "80", "--expose", "81/udp");
    const ports = await engine.ok("port", "all");
    expect(ports).toMatch(/^80\/tcp -> 0\.0\.0\.0:\d+$/m);
    expect(ports).toMatch(/^81\/udp -> 0\.0\.0\.0:\d+$/m);
    await engine.ok("rm", "-f", "any", "all");
  });

  test("-p 127.0.0.1:… answers there and nowhere else", async () => {
    const port = await freePort();
    await server("local", "-p", `127.0.0.1:${port}:80`);
    expect(await hears("127.0.0.1", port)).toBe("local");
    expect(await refuses(ownAddress ?? "", port)).toBe(true);
    expect(await engine.ok("port", "local", "80/tcp")).toBe(`127.0.0.1:${port}`);
    await engine.ok("rm", "-f", "local");
  });

  test("ranges", async () => {
    const first = await freeRange(3);
    await engine.ok(
      "run",
      "-d",
      "--name",
      "range",
      "-p",
      `${first}-${first + 2}:7000-7002`,
      "busybox",
      "sh",
      "-c",
      "while :; do echo second | nc -l -p 7001; done",
    );
    expect(await hears("127.0.0.1", first + 1)).toBe("second");
    expect((await engine.ok("port", "range")).split("\n").sort()).toEqual(
      [0, 1, 2].map((at) => `${7000 + at}/tcp -> 0.0.0.0:${first + at}`),
    );
    const one = await engine.ok(
      "run",
      "-d",
      "--name",
      "oneof",
      "-p",
      `${first}-${first + 3}:80`,
      "busybox",
      "sleep",
      "100000",
    );
    expect(one).not.toBe("");
    expect(await engine.ok("port", "oneof")).toBe(`80/tcp -> 0.0.0.0:${first + 3}`);
    await engine.ok("rm", "-f", "range", "oneof");
  });

  test("udp goes both ways, also right after another container had the port", async () => {
    const port = await freePort();
    for (const name of ["udp1", "udp2"]) {
      await engine.ok("run", "-d", "--name", name, "-p", `${port}:53/udp`, "busybox", "sleep", "100000");
      const answering = await answersUdp(name);
      expect(await asksUdp(port)).toBe(name);
      answering.kill();
      await answering.exited;
      await engine.ok("rm", "-f", name);
    }
  });

  test("a port that is taken is refused, by us or by another process, and nothing is left of the try", async () => {
    const port = await freePort();
    await server("holder", "-p", `${port}:80`);
    const before = await engine.ok("ps", "-aq");
    const ours = await engine.docker("run", "--rm", "-p", `${port}:80`, "busybox", "true");
    expect(ours.code).toBe(125);
    expect(ours.stderr).toContain(`Bind for 0.0.0.0:${port} failed: port is already allocated`);
    expect(await engine.ok("ps", "-aq")).toBe(before);
    await engine.ok("rm", "-f", "holder");
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, "0.0.0.0", resolve));
    const theirs = await engine.docker("run", "--rm", "-p", `${port}:80`, "busybox", "true");
    expect(theirs.code).toBe(125);
    expect(theirs.stderr).toMatch(new RegExp(`${port}.*address already in use`));
    other.close();
    expect(await engine.ok("run", "--rm", "-p", `${port}:80`, "busybox", "echo", "free")).toBe("free");
  });

  test("forms that make no sense are refused", async () => {
    for (const form of ["70000:80", "80:70000", "1-2:80-83", "x:80", "192.0.2.77:81:80"]) {
      const { code } = await engine.docker("run", "--rm", "-p", form, "busybox", "true");
      expect([form, code]).toEqual([form, 125]);
    }
    expect(await engine.ok("ps", "-aq")).toBe("");
  });

  test("a port survives a restart of the container", async () => {
    const port = await freePort();
    await server("again", "-p", `${port}:80`);
    await engine.ok("restart", "-t", "0", "again");
    expect(await hears("127.0.0.1", port)).toBe("again");
    await engine.ok("rm", "-f", "again");
  });
});

describe("modes", () => {
  test("--network host shares the host's, none has loopback alone", async () => {
    const host = (await Bun.$`readlink /proc/self/ns/net`.text()).trim();
    expect(await inside("readlink /proc/self/ns/net", "--network", "host")).toBe(host);
    expect(await inside("ip -o link | cut -d: -f2; ip -4 -o addr | wc -l", "--network", "none")).toBe("lo\n1");
    const hostname = (await Bun.$`hostname`.text()).trim();
    expect(await inside("hostname", "--network", "host")).toBe(hostname);
  });

  test("--network container: shares another's, and dies with nobody", async () => {
    const address = await server("shared");
    expect(await inside("ip -4 -o addr show eth0", "--network", "container:shared")).toContain(address);
    expect(await inside("cat /etc/hostname", "--network", "container:shared")).toBe(
      await engine.ok("exec", "shared", "hostname"),
    );
    const bad = await engine.docker("run", "--network", "container:nobody", "busybox", "true");
    expect(bad.code).toBe(125);
    expect(bad.stderr).toContain("No such container: nobody");
    const published = await engine.docker("create", "--network", "container:shared", "-p", "80", "busybox");
    expect(published.stderr).toMatch(/conflicting options: port publishing and the container type network mode/);
    await engine.ok("rm", "-f", "shared");
  });

  test("an unknown network is refused by name, and leaves nothing", async () => {
    const { code, stderr } = await engine.docker("run", "--rm", "--network", "nowhere", "busybox", "true");
    expect(code).toBe(125);
    expect(stderr).toContain("network nowhere not found");
    expect(await engine.ok("ps", "-aq")).toBe("");
  });

  test("the outside is reached through NAT", async () => {
    const listener = createServer((socket) => socket.end(`from ${socket.remoteAddress}`));
    await new Promise<void>((resolve) => listener.listen(0, "0.0.0.0", resolve));
    const { port } = listener.address() as { port: number };
    expect(await inside(`nc -w 2 ${ownAddress} ${port} < /dev/null`)).toContain("from ");
    listener.close();
  });
});

describe.each(["docker", "berth"] as const)("%s network", (which) => {
  const network = (...argv: string[]) => cli(which, engine.host, ["network", ...argv]);

  test("create, ls, inspect, rm", async () => {
    const name = `net-${which}`;
    const { stdout } = await network(
      "create",
      "--subnet",
      "10.199.7.0/24",
      "--gateway",
      "10.199.7.9",
      "--label",
      "a=b",
      name,
    );
    const id = stdout.trim();
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect((await network("ls", "--format", "{{.Name}} {{.Driver}}")).stdout).toContain(`${name} bridge`);
    const [inspected] = JSON.parse((await network("inspect", name)).stdout);
    expect(inspected).toMatchObject({ Name: name, Id: id, Driver: "bridge", Labels: { a: "b" } });
    expect(inspected.IPAM.Config).toMatchObject([{ Subnet: "10.199.7.0/24", Gateway: "10.199.7.9" }]);
    expect(
      await inside("ip route | head -1; ip -4 -o addr show eth0", "--network", name, "--ip", "10.199.7.77"),
    ).toMatch(/default via 10\.199\.7\.9.*\n.*10\.199\.7\.77\/24/);
    await engine.ok("run", "-d", "--name", `in-${which}`, "--network", name, "busybox", "sleep", "100000");
    expect((await network("rm", name)).stderr).toMatch(/has active endpoints/);
    await engine.ok("rm", "-f", `in-${which}`);
    expect((await network("create", name)).stderr).toContain(`network with name ${name} already exists`);
    expect((await network("rm", name)).stdout.trim()).toBe(name);
    expect((await network("inspect", name)).stderr).toMatch(
      new RegExp(`network ${name} not found|No such network: ${name}`),
    ); // CLI 20
    expect((await network("rm", "bridge")).stderr).toMatch(/bridge is a pre-defined network and cannot be removed/);
  });

  test("prune removes those that nobody uses", async () => {
    await network("create", `idle-${which}`);
    expect((await network("prune", "-f")).stdout).toContain(`idle-${which}`);
    expect((await network("ls", "-q", "--filter", `name=idle-${which}`)).stdout).toBe("");
  });
});

test("containers of different networks do not reach each other, those of one do", async () => {
  await engine.ok("network", "create", "one");
  await engine.ok("network", "create", "two");
  const address = await server("in-one", "--network", "one");
  const ask = `for i in $(seq 50); do nc -w 1 ${address} 80 < /dev/null && break; usleep 20000; done`;
  expect(await inside(ask, "--network", "one")).toBe("in-one");
  expect(
    (await engine.docker("run", "--rm", "--network", "two", "busybox", "nc", "-w", "1", address, "80")).stdout,
  ).toBe("");
  await engine.ok("rm", "-f", "in-one");
  await engine.ok("network", "rm", "one", "two");
});

/** The first of so many free ports in a row. */
async function freeRange(count: number): Promise<number> {
  for (;;) {
    const first = await freePort();
    const free = await Promise.all(Array.from({ length: count + 1 }, (_, at) => canListen(first + at)));
    if (free.every(Boolean)) return first;
  }
}

function canListen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = createServer().on("error", () => resolve(false));
  probe.listen(port, "0.0.0.0", () => probe.close(() => resolve(true)));
  return promise;
}

/** busybox has no server for UDP: this one is the test's own runtime, in the container's network. */
async function answersUdp(name: string): Promise<Bun.Subprocess> {
  const pid = await engine.ok("inspect", "-f", "{{.State.Pid}}", name);
  const script = `const s = require("node:dgram").createSocket("udp4");
    s.on("message", (_, from) => s.send("${name}\\n", from.port, from.address)).bind(53)`;
  return Bun.spawn(["nsenter", "-t", pid, "-n", process.execPath, "-e", script], { timeout: 60_000 });
}

async function asksUdp(port: number): Promise<string> {
  const socket = createSocket("udp4");
  let heard = "";
  socket.on("message", (message) => (heard += message.toString()));
  const answer = await until(`udp port ${port} answers`, async () => {
    socket.send("?\n", port, "127.0.0.1");
    await Bun.sleep(50);
    return heard.trim();
  });
  socket.close();
  return answer.split("\n")[0] ?? "";
}
