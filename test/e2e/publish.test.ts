import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
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
