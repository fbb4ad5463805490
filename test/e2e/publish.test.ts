import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { connectHosts, type Host, makeHost } from "../support/netns.ts";
import { until } from "../support/until.ts";

/** A host of its own for the daemon, so that it has all ports and a ruleset to flush, and one outside that is its client. */
let host: Host;
let outside: Host;
let engine: Engine;
beforeAll(async () => {
  host = await makeHost("host");
  outside = await makeHost("outside");
  await connectHosts(host, outside);
  engine = await startEngine([], host.enter);
  await importBusybox(engine);
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await outside[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});
afterEach(async () => {
  const all = (await engine.ok("ps", "-aq")).split("\n").filter(Boolean);
  if (all.length > 0) await engine.ok("rm", "-f", ...all);
});

/** Answers with the address that the client seems to have. */
const server = `mkdir -p /www/cgi-bin; cd /www/cgi-bin
printf '#!/bin/sh\\necho; echo $REMOTE_ADDR\\n' > who; chmod +x who; exec httpd -f -p "$0" -h /www`;

async function serve(name: string, flags: readonly string[], port = "80"): Promise<void> {
  await engine.ok("run", "-d", "--name", name, ...flags, "busybox", "sh", "-c", server, port);
}

/** Its last line is the server's; nothing of it where nobody answers. */
const request = (address: string, port: number | string) => {
  const get = `printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 2 "$0" "$1" | busybox tail -n 1`;
  return ["sh", "-c", get, address, String(port)];
};
const ask = async (from: Host, address: string, port: number | string) => {
  const said = await from.run(...request(address, port));
  return said.replace(/^\[(?:::ffff:)?(.*)\]$/, "$1");
};
const answers = (port: number | string) =>
  until(`port ${port} answers`, async () => (await ask(host, "127.0.0.1", port)) !== "");
const inspected = (format: string, name: string) => engine.ok("inspect", "-f", format, name);

describe("a published port", () => {
  test("shows who asks: a client outside with its own address, on both kinds of addresses", async () => {
    await engine.ok("network", "create", "--ipv6", "dual");
    await serve("web", ["--network", "dual", "-p", "8080:80"]);
    await answers(8080);
    expect(await ask(outside, "192.0.2.1", 8080)).toBe("192.0.2.2");
    // Neighbours are found only when the new bridge has settled its own addresses.
    const six = await until("the outside is answered", () => ask(outside, "2001:db8::1", 8080));
    expect(six).toBe("2001:db8::2");
    await engine.ok("rm", "-f", "web");
    await engine.ok("network", "rm", "dual");
    expect(await host.run("nft", "list", "tables", "ip6")).toBe("");
  });

  test("is reached by the host's address from the container itself, a sibling and another network", async () => {
    await engine.ok("network", "create", "other");
    await serve("web", ["-p", "8080:80"]);
    await answers(8080);
    expect(await engine.ok("exec", "web", ...request("192.0.2.1", 8080))).not.toBe("");
    for (const network of ["bridge", "other"]) {
      const said = await engine.ok("run", "--rm", "--network", network, "busybox", ...request("192.0.2.1", 8080));
      expect([network, said === ""]).toEqual([network, false]);
    }
    await engine.ok("network", "rm", "other");
  });

  test("of SCTP is published and shown by both CLIs, and taken", async () => {
    await serve("web", ["-p", "9999:9999/sctp", "-p", "127.0.0.1::38412/sctp"]);
    const chosen = await inspected('{{(index (index .NetworkSettings.Ports "38412/sctp") 0).HostPort}}', "web");
    const lines = [`38412/sctp -> 127.0.0.1:${chosen}`, "9999/sctp -> 0.0.0.0:9999"];
    for (const { stdout } of [await engine.docker("port", "web"), await engine.berth("port", "web")])
      expect(stdout.trim().split("\n").toSorted()).toEqual(lines);
    expect(await engine.ok("ps", "--format", "{{.Ports}}")).toContain("0.0.0.0:9999->9999/sctp");
    expect(await engine.ok("ps", "-q", "--filter", "publish=9999/sctp")).not.toBe("");
    const address = await inspected("{{.NetworkSettings.IPAddress}}", "web");
    const rules = await host.run("nft", "list", "map", "ip", `berth_${await engine.tag()}`, "any4");
    expect(rules).toContain(`sctp . 9999 : ${address} . 9999`);
    const again = await engine.docker("run", "-d", "-p", "9999:1/sctp", "busybox", "true");
    expect([again.code, again.stderr]).toEqual([
      125,
      expect.stringContaining("Bind for 0.0.0.0:9999 failed: port is already allocated"),
    ]);
  });

  test("is back within moments after somebody has flushed the whole ruleset", async () => {
    await serve("web", ["-p", "8080:80"]);
    await answers(8080);
    const before = await host.run("nft", "list", "ruleset");
    await host.run("nft", "flush", "ruleset");
    await until("the rules are back", async () => (await host.run("nft", "list", "ruleset")) === before);
    await answers(8080);
    expect(await ask(outside, "192.0.2.1", 8080)).toBe("192.0.2.2");
  });
});

describe("host ports that the engine chooses", () => {
  const ports = (name: string) => engine.ok("port", name);

  test("stay over restarts of the container and of the daemon, and move on only when they are taken", async () => {
    await serve("web", ["-p", "80", "-p", "8000-8010:81", "-P", "--expose", "82"]);
    const before = await ports("web");
    expect(before.split("\n")).toHaveLength(3);
    await engine.ok("restart", "-t", "0", "web");
    expect(await ports("web")).toBe(before);
    await engine.stop("SIGKILL");
    await engine.start();
    expect(await ports("web")).toBe(before);
    await engine.ok("restart", "-t", "0", "web");
    expect(await ports("web")).toBe(before);
    await engine.ok("stop", "-t", "0", "web");
    await engine.ok("run", "-d", "--name", "thief", "-p", "8000:80", "busybox", "sleep", "1000");
    await engine.ok("start", "web");
    expect(await ports("web")).toBe(before.replace(":8000", ":8001"));
  });

  test("of a range are the first that is free, until none is", async () => {
    const run = (name: string) =>
      engine.docker("run", "-d", "--name", name, "-p", "8000-8001:80", "busybox", "sleep", "1000");
    expect([(await run("first")).stderr, (await run("second")).stderr]).toEqual(["", ""]);
    expect([await ports("first"), await ports("second")]).toEqual(["80/tcp -> 0.0.0.0:8000", "80/tcp -> 0.0.0.0:8001"]);
    expect((await run("third")).stderr).toContain("Bind for 0.0.0.0:8000 failed: port is already allocated");
  });
});

test("ten thousand ports take no process and few descriptors, work at both ends, and are all given back", async () => {
  const openFiles = () => readdirSync(`/proc/${engine.pid}/fd`).length;
  const children = async () =>
    (await Bun.file(`/proc/${engine.pid}/task/${engine.pid}/children`).text()).split(" ").length;
  await serve("few", ["-p", "8080:80"]);
  const [before, processes] = [openFiles(), await children()];
  await serve("web", ["-p", "20000-29999:20000-29999"], "29999");
  await answers(29999);
  expect(await ask(outside, "192.0.2.1", 29999)).toBe("192.0.2.2");
  expect(openFiles() - before).toBeLessThan(400);
  expect(await children()).toBeLessThanOrEqual(processes + 1);
  expect(await engine.ok("ps", "--filter", "name=web", "--format", "{{.Ports}}")).toBe(
    "0.0.0.0:20000-29999->20000-29999/tcp",
  );
  const { Ports } = JSON.parse(await inspected("{{json .NetworkSettings}}", "web"));
  expect(Object.keys(Ports)).toHaveLength(10_000);
  expect(Ports["25000/tcp"]).toEqual([{ HostIp: "0.0.0.0", HostPort: "25000" }]);
  const taken = await engine.docker("run", "-d", "-p", "127.0.0.1:25000:80", "busybox", "true");
  expect(taken.stderr).toContain("Bind for 127.0.0.1:25000 failed: port is already allocated");
  const program = Bun.spawn([...host.enter, "busybox", "timeout", "2", "busybox", "nc", "-l", "-p", "25000"], {
    stderr: "pipe",
  });
  expect(await new Response(program.stderr).text()).toContain("Address already in use");
  await engine.ok("rm", "-f", "web");
  expect(openFiles() - before).toBeLessThan(50);
  expect(await ask(host, "127.0.0.1", 29999)).toBe("");
  await serve("other", ["-p", "20000:80", "-p", "29999:80"]);
  await answers(29999);
});
