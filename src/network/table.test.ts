import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDb } from "../db/mod.ts";
import { parseSubnet, type Subnet } from "./address.ts";
import {
  allEndpoints,
  deleteNetwork,
  networkMigrations,
  networkOverlapping,
  putNetwork,
  reindexSubnets,
} from "./table.ts";

const holder = "0123456789abcdef".repeat(4);
const endpoint = "INSERT INTO endpoints (id, network_id, holder, name, interface, veth, address, mac, config) VALUES";

/** As a version left them that had no resolver; `configs` of one endpoint each. */
function storeOld(file: string, configs: readonly string[]): void {
  const first = networkMigrations.filter(({ version }) => version === 1);
  using db = openDb(file, first);
  db.write((tx) => {
    tx.run("INSERT INTO sandboxes VALUES (?)", [holder]);
    for (const [at, config] of configs.entries()) {
      tx.run("INSERT INTO networks VALUES (?1, ?1, '{}')", [`n${at}`]);
      tx.run(`${endpoint} (?, ?, ?, 'one', ?, 'v', 1, 'm', ?)`, [`e${at}`, `n${at}`, holder, `eth${at}`, config]);
    }
  });
}

test("endpoints from before there was a resolver are found by their aliases and short ids", () => {
  const directory = mkdtempSync(join(tmpdir(), "berth-network-"));
  try {
    const file = join(directory, "db");
    storeOld(file, ['{"Aliases":["web","www"]}', '{"Aliases":null}', "{}"]);
    using db = openDb(file, networkMigrations);
    const found = db.read(allEndpoints).map(({ resolver }) => resolver);
    const bare = { names: ["0123456789ab"], links: {}, upstreams: [] };
    expect(found).toEqual([{ ...bare, names: ["0123456789ab", "web", "www"] }, bare, bare]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("networks from before there was an index of subnets are found by what they have", () => {
  const directory = mkdtempSync(join(tmpdir(), "berth-network-"));
  try {
    const file = join(directory, "db");
    const old = (name: string, base: number, six?: object) =>
      JSON.stringify({ id: name, name, driver: "bridge", bridge: { subnet: { base, prefixLength: 16 }, ...six } });
    const sixOf = { six: { subnet: { base: "fd00:1::", prefixLength: 64 } } };
    {
      using db = openDb(file, networkMigrations.slice(0, 4));
      const sql = "INSERT INTO networks VALUES (?1, ?1, ?2)";
      db.write((tx) => tx.run(sql, ["low", old("low", 0x0a010000)]));
      db.write((tx) => tx.run(sql, ["high", old("high", 0xc0a80000, sixOf)]));
      db.write((tx) => tx.run(sql, ["none", JSON.stringify({ id: "none", name: "none", driver: "null" })]));
    }
    using db = openDb(file, networkMigrations);
    db.write(reindexSubnets);
    const found = (text: string) => db.read((q) => networkOverlapping(q, parseSubnet(text) as Subnet)?.name);
    const within = ["10.1.0.0/16", "10.1.255.0/24", "10.0.0.0/8", "192.168.7.7/32"].map(found);
    expect(within).toEqual(["low", "low", "low", "high"]);
    expect(["10.0.255.0/24", "10.2.0.0/16", "192.169.0.0/16", "11.0.0.0/8"].map(found)).toEqual(
      Array(4).fill(undefined),
    );
    const six = (base: string) => db.read((q) => networkOverlapping(q, { base, prefixLength: 80 })?.name);
    expect([six("fd00:1::"), six("fd00:1:0:0:5::"), six("fd00:1:0:1::")]).toEqual(["high", "high", undefined]);
    db.write((tx) => deleteNetwork(tx, "low"));
    expect(found("10.1.0.0/16")).toBeUndefined();
    const moved = JSON.parse(old("high", 0x0a020000));
    db.write((tx) => putNetwork(tx, moved));
    expect(["192.168.0.0/16", "10.2.3.0/24"].map(found)).toEqual([undefined, "high"]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
