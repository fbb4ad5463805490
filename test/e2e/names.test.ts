import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { tar } from "../support/tar.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());
afterEach(async () => {
  const ids = (await engine.ok("ps", "-aq")).split("\n").filter(Boolean);
  if (ids.length > 0) await engine.ok("rm", "-f", ...ids);
  await engine.ok("network", "prune", "-f");
});

function sleeper(name: string, ...flags: string[]): Promise<string> {
  return engine.ok("run", "-d", "--name", name, ...flags, "busybox", "sleep", "1000");
}

async function resolved(container: string, name: string): Promise<string[]> {
  const { stdout } = await engine.docker("exec", container, "nslookup", "-type=a", name);
  return [...stdout.matchAll(/^Address: (\S+)$/gm)].map((match) => match[1] ?? "").toSorted();
}

function addressIn(container: string, network: string): Promise<string> {
  return engine.ok("inspect", "-f", `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, container);
}

describe("in a user-defined network", () => {
  test("containers find each other by name, short id, host name and alias", async () => {
    await engine.ok("network", "create", "own");
    await sleeper("web", "--network", "own");
    const id = await sleeper("db", "--network", "own", "--network-alias", "store", "--hostname", "box");
    const address = await addressIn("db", "own");
    for (const name of ["db", id.slice(0, 12), "store", "box", "db.own"]) {
      expect(await resolved("web", name), name).toEqual([address]);
    }
    expect(await engine.ok("exec", "web", "cat", "/etc/resolv.conf")).toContain("nameserver 127.0.0.11");
    expect(await engine.ok("exec", "web", "ping", "-c", "1", "-W", "2", "db")).toContain("1 packets received");
  });

  test("one alias of several containers stands for all of them", async () => {
    await engine.ok("network", "create", "own");
    await sleeper("web", "--network", "own");
    for (const name of ["w1", "w2"]) await sleeper(name, "--network", "own", "--network-alias", "worker");
    const both = [await addressIn("w1", "own"), await addressIn("w2", "own")].toSorted();
    expect(await resolved("web", "worker")).toEqual(both);
    await engine.ok("rm", "-f", "w1");
    expect(await resolved("web", "worker")).toEqual([await addressIn("w2", "own")]);
  });

  test("a new name counts at once, the old one no more", async () => {
    await engine.ok("network", "create", "own");
    await sleeper("web", "--network", "own");
    await sleeper("db", "--network", "own");
    await engine.ok("rename", "db", "store");
    expect(await resolved("web", "store")).toEqual([await addressIn("store", "own")]);
    expect(await resolved("web", "db")).toEqual([]);
  });

  test("names of other networks stay there", async () => {
    await engine.ok("network", "create", "one");
    await engine.ok("network", "create", "two");
    await sleeper("web", "--network", "one");
    await sleeper("secret", "--network", "two");
    expect(await resolved("web", "secret")).toEqual([]);
    await engine.ok("network", "connect", "two", "web");
    expect(await resolved("web", "secret")).toEqual([await addressIn("secret", "two")]);
    await engine.ok("network", "disconnect", "one", "web");
    expect(await resolved("web", "secret")).toEqual([await addressIn("secret", "two")]);
  });

  test("the daemon may be killed in between", async () => {
    await engine.ok("network", "create", "own");
    await sleeper("web", "--network", "own");
    await sleeper("db", "--network", "own");
    await engine.stop("SIGKILL");
    await engine.start();
    expect(await resolved("web", "db")).toEqual([await addressIn("db", "own")]);
  });
});

test("the default bridge has no resolver of its own; connecting to a network that has one changes that", async () => {
  await engine.ok("network", "create", "own");
  await sleeper("web");
  await sleeper("db", "--network", "own");
  expect(await engine.ok("exec", "web", "cat", "/etc/resolv.conf")).not.toContain("127.0.0.11");
  await engine.ok("network", "connect", "own", "web");
  expect(await engine.ok("exec", "web", "cat", "/etc/resolv.conf")).toContain("127.0.0.11");
  expect(await resolved("web", "db")).toEqual([await addressIn("db", "own")]);
});

/** Asks so many questions while the daemon gets no core at all, and says how many of them were answered when it had one again. */
async function askedMeanwhile(pid: string, name: string, count: number): Promise<number> {
  const script = `
import os, signal, socket, struct
SO_RCVBUFFORCE = 33
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20); s.settimeout(2); s.connect(("127.0.0.11", 53))
rest = struct.pack(">5H", 0x100, 1, 0, 0, 0) + bytes([${name.length}]) + b"${name}\\0" + struct.pack(">2H", 1, 1)
os.kill(${engine.pid}, signal.SIGSTOP)
try:
    for number in range(${count}): s.send(struct.pack(">H", number) + rest)
finally:
    os.kill(${engine.pid}, signal.SIGCONT)
found = set()
try:
    while len(found) < ${count}: found.add(s.recv(512)[:2])
except TimeoutError: pass
print(len(found))`;
  const child = Bun.spawn(["nsenter", `--net=/proc/${pid}/ns/net`, "python3", "-c", script], { stdout: "pipe" });
  return Number(await new Response(child.stdout).text());
}

test("questions wait for a daemon that gets no core: thousands are answered later, and none is lost", async () => {
  await engine.ok("network", "create", "own");
  await sleeper("web", "--network", "own");
  const pid = await engine.ok("inspect", "-f", "{{.State.Pid}}", "web");
  expect(await askedMeanwhile(pid, "web", 5000)).toBe(5000);
});

describe("the host", () => {
  const lineOf = (container: string) => engine.ok("exec", container, "grep", "-w", "me", "/etc/hosts");
  const gatewayOf = (network: string) =>
    engine.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network);

  test("is the gateway of the container's own network, as host-gateway and as host.docker.internal", async () => {
    await engine.ok("network", "create", "own");
    const gateway = await gatewayOf("own");
    await sleeper("web", "--network", "own", "--add-host", "me:host-gateway");
    expect(await lineOf("web")).toBe(`${gateway}\tme`);
    expect(await resolved("web", "host.docker.internal")).toEqual([gateway]);
    await sleeper("plain", "--add-host", "me:host-gateway");
    expect(await lineOf("plain")).toBe(`${await gatewayOf("bridge")}\tme`);
  });

  test("is seen by way of the network that leads there", async () => {
    await engine.ok("network", "create", "--internal", "inner");
    await engine.ok("network", "create", "outer");
    await sleeper("web", "--network", "inner", "--add-host", "me:host-gateway");
    expect(await lineOf("web")).toBe(`${await gatewayOf("bridge")}\tme`);
    expect(await resolved("web", "host.docker.internal")).toEqual([]);
    await engine.ok("network", "connect", "outer", "web");
    expect(await resolved("web", "host.docker.internal")).toEqual([await gatewayOf("outer")]);
    await engine.ok("network", "disconnect", "outer", "web");
  });

  test("has the gateway of a build's network in its steps", async () => {
    await engine.ok("network", "create", "own");
    const dockerfile = "FROM busybox\nRUN grep -w me /etc/hosts\n";
    const path = "POST /build?networkmode=own&extrahosts=me:host-gateway";
    const answer = await call(engine, path, tar({ name: "Dockerfile", data: dockerfile }));
    expect(answer.text).toContain(`${await gatewayOf("own")}\\tme`);
  });
});

test("a step of a build in a user's network finds its containers", async () => {
  await engine.ok("network", "create", "own");
  await sleeper("db", "--network", "own");
  const dockerfile = "FROM busybox\nRUN ping -c 1 -W 2 db\n";
  const answer = await call(engine, "POST /build?networkmode=own", tar({ name: "Dockerfile", data: dockerfile }));
  expect(answer.text).toContain("1 packets received");
  expect(answer.text).toContain("Successfully built");
});

test("its own resolvers are asked for the rest", async () => {
  await engine.ok("network", "create", "own");
  await sleeper("web", "--network", "own", "--dns", "192.0.2.53", "--dns-search", "example.test");
  const text = await engine.ok("exec", "web", "cat", "/etc/resolv.conf");
  expect(text).toContain("nameserver 127.0.0.11");
  expect(text).not.toContain("192.0.2.53");
  expect(text).toContain("search example.test");
  expect(text).toContain("ndots:0");
});
