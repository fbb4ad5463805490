import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { PortMap } from "../wire/mod.ts";
import { echoServer, leftovers, type Machine, openMachine, run, tcpEcho, until } from "./testing/fixture.ts";

let machine: Machine;
beforeEach(async () => {
  machine = await openMachine();
});
afterEach(async () => {
  await machine.end();
  expect(await leftovers(machine)).toEqual([]);
});

const anyPort: PortMap = { "80/tcp": [{ HostIp: "", HostPort: "" }] };

async function start(on: Machine) {
  await on.networks.openSandbox("a");
  return await on.networks.connect("bridge", { holder: "a", name: "a", ports: anyPort });
}

describe("two daemons", () => {
  test("have subnets of their own and leave each other alone", async () => {
    const other = await openMachine();
    const a = await start(machine);
    const b = await start(other);
    expect(a.gateway).not.toBe(b.gateway);
    using _server = await echoServer(machine, { holder: "a", protocol: "tcp", port: 80 });
    await other.end();
    expect(await leftovers(other)).toEqual([]);
    expect(await tcpEcho("127.0.0.1", Number(a.ports["80/tcp"]?.[0]?.HostPort))).toBe("hello");
  });

  test("that chose the same subnet at once end up apart", async () => {
    const taken = machine.networks.get("bridge").IPAM.Config[0]?.Subnet ?? "";
    const other = await openMachine();
    other.db.write((tx) => {
      const row = tx.get<{ body: string }>("SELECT body FROM networks WHERE name = 'bridge'");
      const body = JSON.parse(row?.body ?? "{}");
      const mine = machine.db.read((q) => q.get<{ body: string }>("SELECT body FROM networks WHERE name = 'bridge'"));
      body.bridge = { ...JSON.parse(mine?.body ?? "{}").bridge, link: other.config.bridge };
      tx.run("UPDATE networks SET body = ? WHERE name = 'bridge'", [JSON.stringify(body)]);
    });
    await other.networks.recover(new Set());
    expect(other.networks.get("bridge").IPAM.Config[0]?.Subnet).not.toBe(taken);
    await other.end();
    expect(await leftovers(other)).toEqual([]);
  });

  test("a bridge in use by others is not taken over, a bare leftover is", async () => {
    const bridge = `bx${machine.config.tag}`;
    const lines = [
      `link add ${bridge} type bridge`,
      `link add vy${machine.config.tag} master ${bridge} type veth peer name vz${machine.config.tag}`,
    ];
    await run(["ip", "-batch", "-"], lines.join("\n"));
    expect(openMachine({ bridge })).rejects.toMatchObject({ kind: "unavailable" });
    await run(["ip", "link", "del", `vy${machine.config.tag}`]);
    const other = await openMachine({ bridge, subnet: "10.231.7.1/24" });
    expect(other.networks.get("bridge").IPAM.Config).toEqual([{ Subnet: "10.231.7.0/24", Gateway: "10.231.7.1" }]);
    await other.end();
  });
});

test("next to dockerd, its chain DOCKER-USER lets our bridges through", async () => {
  const tables = (await run(["nft", "list", "tables", "ip"])).stdout;
  if (tables.includes("table ip filter")) return; // somebody's real rules: hands off
  await run(
    ["nft", "-f", "-"],
    "table ip filter {\n chain DOCKER-USER {\n }\n chain FORWARD {\n type filter hook forward priority 0; policy drop;\n jump DOCKER-USER\n }\n}\n",
  );
  try {
    await machine.restart([]);
    // Other daemons of this host put theirs there, too.
    const own = async () => {
      const { stdout } = await run(["nft", "list", "chain", "ip", "filter", "DOCKER-USER"]);
      return stdout.split("\n").filter((line) => line.includes(`berth_${machine.config.tag} `));
    };
    const rules = (await own()).join("\n");
    for (const name of [machine.config.bridge, `br${machine.config.tag}-*`]) {
      expect(rules).toContain(`iifname "${name}" accept`);
      expect(rules).toContain(`oifname "${name}" accept`);
    }
    await machine.restart([]);
    expect((await own()).join("\n")).toBe(rules);
    await run(["nft", "flush", "chain", "ip", "filter", "DOCKER-USER"]);
    await until(async () => (await own()).join("\n") === rules);
    await run(["nft", "-f", "-"], "delete chain ip filter FORWARD\ndelete chain ip filter DOCKER-USER\n");
    await run(["nft", "add", "chain", "ip", "filter", "DOCKER-USER"]); // as dockerd does when it is started later
    await until(async () => (await own()).join("\n") === rules);
    await machine.networks.shutdown();
    expect(await own()).toEqual([]);
  } finally {
    await run(["nft", "delete", "table", "ip", "filter"]);
  }
  await until(async () => (await leftovers(machine)).length === 0);
});
