import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Db, openDb } from "../db/mod.ts";
import { createMounts } from "../host/mod.ts";
import { type Digest, digestOf, hexOf } from "../oci/mod.ts";
import { contentSuite, fails } from "./content.suite.ts";
import { contentMigrations, openContent, recordReferences } from "./mod.ts";

contentSuite("content in files", async () => {
  const directory = mkdtempSync("/tmp/berth-content-");
  const db = openDb(":memory:", contentMigrations);
  return {
    store: await openContent({ db, directory }),
    [Symbol.asyncDispose]: async () => {
      expect(readdirSync(join(directory, "ingest"))).toEqual([]);
      db[Symbol.dispose]();
      rmSync(directory, { recursive: true });
    },
  };
});

let directory = "";
let db: Db;
beforeEach(() => {
  directory = mkdtempSync("/tmp/berth-content-");
  db = openDb(":memory:", contentMigrations);
});
afterEach(() => {
  db[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

const blobs = () => readdirSync(join(directory, "blobs/sha256"));

test("opening clears unfinished ingests, files without a row and rows without a file", async () => {
  const store = await openContent({ db, directory });
  const kept = await store.put(Buffer.from("kept"));
  const lost = await store.put(Buffer.from("lost"));
  const ingest = await store.ingest();
  await ingest.write(Buffer.from("half"));
  unlinkSync(store.path(lost));
  writeFileSync(join(directory, "blobs/sha256", hexOf(digestOf("stray"))), "stray");
  const again = await openContent({ db, directory });
  expect([...again.list()].map(({ digest }) => digest)).toEqual([kept]);
  expect(blobs()).toEqual([hexOf(kept)]);
  expect(readdirSync(join(directory, "ingest"))).toEqual([]);
  await ingest.abort();
});

test("a full disk is 'unavailable' and leaves nothing", async () => {
  const mounts = createMounts();
  mkdirSync(join(directory, "small"));
  mounts.mount({ type: "tmpfs", source: "none", options: ["size=1m"] }, join(directory, "small"));
  try {
    const store = await openContent({ db, directory: join(directory, "small") });
    const big = Buffer.alloc(2 << 20, "x");
    await fails("unavailable", "no space left on device", store.put(big));
    expect(readdirSync(join(directory, "small/ingest"))).toEqual([]);
    expect([...store.list()]).toEqual([]);
    await store.put(Buffer.alloc(1000));
  } finally {
    mounts.unmount(join(directory, "small"), "detach");
  }
});

test("a publication that fails leaves no temporary file", async () => {
  const store = await openContent({ db, directory });
  rmSync(join(directory, "blobs"), { recursive: true });
  await fails("internal", "ENOENT", store.put(Buffer.from("x")));
  expect(readdirSync(join(directory, "ingest"))).toEqual([]);
});

test("a digest that is none never becomes a path", async () => {
  const store = await openContent({ db, directory });
  writeFileSync(join(directory, "victim"), "");
  await fails("invalid", "invalid digest", store.remove("sha256:../../victim" as Digest));
  expect(readdirSync(directory)).toContain("victim");
});

test("dropping keeps the roots and all they lead to, and deletes files only afterwards", async () => {
  const store = await openContent({ db, directory });
  const [index, manifest, config, shared, other, loose] = await Promise.all(
    ["index", "manifest", "config", "shared", "other", "loose"].map((text) => store.put(Buffer.from(text))),
  );
  const digests = [index, manifest, config, shared, other, loose] as Digest[];
  db.write((tx) => {
    recordReferences(tx, index!, [manifest!]);
    recordReferences(tx, manifest!, [config!, shared!]);
    recordReferences(tx, manifest!, [shared!, digestOf("not here")]);
    recordReferences(tx, other!, [shared!]);
  });
  const dropped = db.write((tx) => store.dropUnreferenced(tx, [index!]));
  expect(dropped.map(({ digest }) => digest).toSorted()).toEqual([other!, loose!].toSorted());
  expect(blobs()).toHaveLength(digests.length);
  await store.put(Buffer.from("loose")); // came again before its file was deleted
  await store.deleteDropped(dropped);
  expect(blobs().toSorted()).toEqual([index!, manifest!, config!, shared!, loose!].map(hexOf).toSorted());
  expect(db.read((q) => q.get("SELECT count(*) AS n FROM content_refs WHERE parent = ?", [other!]))).toEqual({ n: 0 });
  expect(db.write((tx) => store.dropUnreferenced(tx, []))).toHaveLength(5);
});

test("dropping is undone with its transaction", async () => {
  const store = await openContent({ db, directory });
  const digest = await store.put(Buffer.from("x"));
  const attempt = () =>
    db.write((tx) => {
      store.dropUnreferenced(tx, []);
      throw new Error("no");
    });
  expect(attempt).toThrow("no");
  expect(store.info(digest)).toBeDefined();
});

test("hashing a large write lets timers run", async () => {
  const store = await openContent({ db, directory });
  let ticks = 0;
  const timer = setInterval(() => ticks++, 0);
  await store.put(Buffer.alloc(32 << 20));
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(5);
});
