import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ContentStore, contentMigrations, openContent } from "../content/mod.ts";
import { type Db, openDb } from "../db/mod.ts";
import { createWorkers } from "../host/mod.ts";
import { type Digest, digestOf } from "../oci/mod.ts";
import { openSnapshots, type Snapshotter, snapshotsMigrations } from "../snapshots/mod.ts";
import { type Collector, type Leases, openCollector, recordReferences } from "./mod.ts";

const workers = createWorkers({ size: 1, entry: new URL("../host/testing/tree-worker.ts", import.meta.url).href });
afterAll(() => workers[Symbol.asyncDispose]());

let directory = "";
let db: Db;
let content: ContentStore;
let snapshots: Snapshotter;
let gc: Collector & Leases;
let wanted: { content: Digest[]; snapshots: string[] };

beforeEach(async () => {
  directory = mkdtempSync("/tmp/berth-gc-");
  db = openDb(":memory:", [...contentMigrations, ...snapshotsMigrations]);
  content = await openContent({ db, directory: join(directory, "content") });
  snapshots = await openSnapshots({ db, directory: join(directory, "snapshots"), workers });
  gc = openCollector({ db, content, snapshots, owners: ["images", "containers"] });
  wanted = { content: [], snapshots: [] };
  gc.register("images", { content: () => wanted.content });
  gc.register("containers", { snapshots: () => wanted.snapshots });
});
afterEach(() => {
  db[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

const put = (text: string) => content.put(Buffer.from(text));
async function layer(name: string, parent?: string): Promise<string> {
  await snapshots.prepare(`key/${name}`, parent);
  writeFileSync(join(snapshots.directory(`key/${name}`), "f"), Buffer.alloc(8192));
  await snapshots.commit(name, `key/${name}`);
  return name;
}

test("keeps roots and what they lead to, deletes the rest, and counts what that freed", async () => {
  const [manifest, blob, loose] = [await put("manifest"), await put("blob"), await put("loose")];
  db.write((tx) => recordReferences(tx, manifest, [blob]));
  await layer("base");
  await layer("top", "base");
  await layer("garbage", "base");
  await snapshots.prepare("container/1", "top");
  const files = [content.path(loose), snapshots.directory("garbage")];
  wanted = { content: [manifest], snapshots: ["container/1"] };
  const { bytes, ...rest } = await gc.collect();
  expect(rest).toEqual({ blobs: [loose], snapshots: ["garbage"] });
  expect(bytes).toBeGreaterThanOrEqual(8192 + 5);
  for (const file of files) expect(existsSync(file)).toBe(false);
  expect(await gc.collect()).toEqual({ bytes: 0, blobs: [], snapshots: [] });
  wanted = { content: [], snapshots: [] };
  expect((await gc.collect()).snapshots.toSorted()).toEqual(["base", "container/1", "top"]);
  expect([...content.list(), ...snapshots.list()]).toEqual([]);
});

test("a lease keeps what is made and what is asked for while it is held, and no longer", async () => {
  const [before, reused] = [await put("before"), await put("reused")];
  await layer("old");
  await layer("reused");
  const made = digestOf("made");
  await gc.hold(async () => {
    content.info(reused);
    await put("made");
    await snapshots.prepare("new", "reused");
    const { blobs, snapshots: gone } = await gc.collect();
    expect(blobs).toEqual([before]);
    expect(gone).toEqual(["old"]);
  });
  const { blobs, snapshots: gone } = await gc.collect();
  expect(blobs.toSorted()).toEqual([made, reused].toSorted());
  expect(gone.toSorted()).toEqual(["new", "reused"]);
});

test("with several leases the oldest decides, and a failing body ends its own", async () => {
  const one = Promise.withResolvers<void>();
  const first = gc.hold(() => one.promise);
  const digest = await put("between");
  await expect(gc.hold(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  await gc.hold(async () => expect((await gc.collect()).blobs).toEqual([]));
  one.resolve();
  await first;
  expect((await gc.collect()).blobs).toEqual([digest]);
});

test("a blob that comes again while its file is being deleted survives, leased", async () => {
  const digest = await put("again");
  const collecting = gc.collect(); // has deleted the row when this returns, the file later
  await gc.hold(async () => {
    await put("again");
    await collecting;
    expect(Buffer.from(await content.read(digest)).toString()).toBe("again");
    expect((await gc.collect()).blobs).toEqual([]);
  });
});

test("nothing is collected before every owner has registered", async () => {
  const early = openCollector({ db, content, snapshots, owners: ["images", "containers"] });
  early.register("images", {});
  const digest = await put("x");
  await expect(early.collect()).rejects.toThrow("Nothing is collected before containers registered");
  expect(content.info(digest)).toBeDefined();
  expect(() => early.register("images", {})).toThrow("registers twice");
  expect(() => early.register("strangers", {})).toThrow("was not announced");
});

test("roots that cannot be read stop the collection with everything in place", async () => {
  const broken = openCollector({ db, content, snapshots, owners: ["images"] });
  broken.register("images", {
    snapshots: () => {
      throw new Error("locked");
    },
  });
  const digest = await put("x");
  await expect(broken.collect()).rejects.toThrow("locked");
  expect(content.info(digest)).toBeDefined();
});

test("collections run one at a time", async () => {
  for (let at = 0; at < 20; at++) await put(`blob ${at}`);
  const results = await Promise.all([gc.collect(), gc.collect(), gc.collect()]);
  expect(results.map(({ blobs }) => blobs.length)).toEqual([20, 0, 0]);
});

test("a store of blobs alone is collected too", async () => {
  const registry = openCollector({ db, content, owners: ["registry"] });
  registry.register("registry", { content: () => [] });
  const digest = await put("x");
  expect(await registry.collect()).toEqual({ bytes: 1, blobs: [digest], snapshots: [] });
});
