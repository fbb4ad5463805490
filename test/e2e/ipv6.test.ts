import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { freePort } from "../support/registry.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
  await engine.ok("network", "create", "--ipv6", "--subnet", "fd7a:1::/64", "dual");
});
afterAll(() => engine[Symbol.asyncDispose]());

test("a container in a network with IPv6 has an address, a name, and a published port on both kinds of addresses", async () => {
  const port = await freePort();
  const script = "while :; do echo web | nc -l -p 80 2>/dev/null; done";
  await engine.ok("run", "-d", "--name", "web", "--network", "dual", "-p", `${port}:80`, "busybox", "sh", "-c", script);
  const settings = JSON.parse(await engine.ok("inspect", "-f", "{{json .NetworkSettings.Networks.dual}}", "web"));
  expect(settings).toMatchObject({ GlobalIPv6PrefixLen: 64, IPv6Gateway: "fd7a:1::1" });
  expect(settings.GlobalIPv6Address).toMatch(/^fd7a:1::[0-9a-f]+$/);
  const client = (...argv: string[]) => engine.docker("run", "--rm", "--network", "dual", "busybox", ...argv);
  expect((await client("nslookup", "-type=aaaa", "web")).stdout).toContain(`Address: ${settings.GlobalIPv6Address}`);
  expect((await client("ping", "-6", "-c", "1", "-W", "2", "web")).stdout).toContain("1 packets received");
  for (const host of ["fd7a:1::1", "127.0.0.1"]) {
    await until(`${host} answers`, async () => {
      const said = await Bun.$`busybox nc -w 2 ${host} ${port} < /dev/null`.quiet().nothrow().text();
      return said.trim() === "web";
    });
  }
  expect((await engine.ok("port", "web")).split("\n").toSorted()).toEqual([
    `80/tcp -> 0.0.0.0:${port}`,
    `80/tcp -> [::]:${port}`,
  ]);
  expect(await engine.ok("exec", "web", "cat", "/etc/hosts")).toContain(settings.GlobalIPv6Address);
});

test("--ip6 asks for an address, and says what is wrong with another", async () => {
  const run = (address: string, network = "dual") =>
    engine.docker("run", "--rm", "--network", network, "--ip6", address, "busybox", "ip", "-6", "addr", "show", "eth0");
  expect((await run("fd7a:1::77")).stdout).toContain("fd7a:1::77/64");
  expect((await run("fd99::1")).stderr).toContain("no configured subnet contains IP address fd99::1");
  await engine.ok("network", "create", "plain");
  expect((await run("fd7a:1::78", "plain")).stderr).toContain("network plain has no IPv6");
});
