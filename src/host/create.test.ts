import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createHost, removeTree, usageOf } from "./mod.ts";

test("a host has all its parts, and they work", async () => {
  const directory = mkdtempSync("/tmp/berth-host-");
  const host = createHost({ workers: { size: 1, entry: new URL("testing/tree-worker.ts", import.meta.url).href } });
  try {
    writeFileSync(join(directory, "file"), "x");
    expect(host.mounts.list().some(({ target }) => target === "/proc")).toBe(true);
    expect(host.rooted(directory).stat("file")?.size).toBe(1);
    expect((await host.processes.run(["true"])).code).toBe(0);
    expect(["v1", "hybrid", "v2"]).toContain(host.cgroups.version);
    expect((await host.workers.run(usageOf, { path: directory })).inodes).toBe(1);
  } finally {
    await host.workers.run(removeTree, { path: directory });
    await host.workers[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  }
});
