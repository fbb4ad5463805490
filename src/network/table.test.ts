import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDb } from "../db/mod.ts";
import { allEndpoints, networkMigrations } from "./table.ts";

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
