import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Db, openDb } from "../db/mod.ts";
import { createMounts, createWorkers, type Mount } from "../host/mod.ts";
import { openSnapshots, snapshotsMigrations } from "./mod.ts";
import { fails, snapshotsSuite } from "./snapshots.suite.ts";

const host = createMounts();

const workers = createWorkers({ size: 1, entry: new URL("../host/testing/tree-worker.ts", import.meta.url).href });
afterAll(() => workers[Symbol.asyncDispose]());

let directory = "";
let db: Db;
beforeEach(() => {
  directory = mkdtempSync("/tmp/berth-snapshots-");
  db = openDb(":memory:", snapshotsMigrations);
});
afterEach(() => {
  for (const { target } of host.list().filter((info) => info.target.startsWith(directory)))
    host.unmount(target, "detach");
  db[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

function mounted<T>(mounts: readonly Mount[], body: (root: string) => T): T {
  const root = mkdtempSync(join(directory, "m-"));
  for (const mount of mounts) host.mount(mount, root);
  try {
    return body(root);
  } finally {
    host.unmount(root);
  }
}

const open = () => openSnapshots({ db, directory: join(directory, "data"), workers });
const numbers = () => readdirSync(join(directory, "data/s")).toSorted();

snapshotsSuite("snapshots on overlayfs", async () => ({
  snapshots: await open(),
  mounted,
  [Symbol.asyncDispose]: async () => undefined,
}));

test("mounts name every directory, the topmost first, with the switches that this kernel knows", async () => {
  const snapshots = await open();
  await snapshots.prepare("a");
  await snapshots.commit("A", "a");
  await snapshots.prepare("b", "A");
  await snapshots.commit("B", "b");
  const s = join(directory, "data/s");
  expect(await snapshots.prepare("c", "B")).toEqual([
    {
      type: "overlay",
      source: "overlay",
      options: [
        `lowerdir=${s}/2/fs:${s}/1/fs`,
        `upperdir=${s}/3/fs`,
        `workdir=${s}/3/work`,
        "redirect_dir=nofollow",
        "metacopy=off",
        "index=off",
      ],
    },
  ]);
  expect(await snapshots.prepare("d")).toEqual([{ type: "bind", source: `${s}/4/fs`, options: ["bind"] }]);
});

test("a directory whose name has commas, colons, blanks and backslashes", async () => {
  const odd = join(directory, "a,b:c\\d e");
  mkdirSync(odd);
  const snapshots = await openSnapshots({ db, directory: odd, workers });
  let parent: string | undefined;
  for (let at = 0; at < 60; at++) {
    await snapshots.prepare("key", parent);
    writeFileSync(join(snapshots.directory("key"), `f${at}`), "");
    parent = `layer/${at}`;
    await snapshots.commit(parent, "key");
  }
  for (const name of ["layer/1", "layer/59"]) {
    mounted(await snapshots.prepare(`on/${name}`, name), (root) => writeFileSync(join(root, "new"), ""));
    expect(readdirSync(snapshots.directory(`on/${name}`))).toEqual(["new"]);
  }
});

test("a directory that is renamed has no pointer to follow: the kernel says EXDEV and programs copy", async () => {
  const snapshots = await open();
  await snapshots.prepare("a");
  mkdirSync(join(snapshots.directory("a"), "d"));
  await snapshots.commit("A", "a");
  mounted(await snapshots.prepare("b", "A"), (root) => {
    const code = `require("node:fs").renameSync(${JSON.stringify(join(root, "d"))}, ${JSON.stringify(join(root, "e"))})`;
    expect(Bun.spawnSync([process.execPath, "-e", code]).stderr.toString()).toContain("EXDEV");
  });
});

test("opening deletes directories without a row and rows whose directory was never finished", async () => {
  const before = await open();
  await before.prepare("kept");
  await before.prepare("half");
  await before.prepare("gone");
  const half = before.directory("half");
  rmSync(join(half, "../work"), { recursive: true });
  rmSync(join(before.directory("gone"), ".."), { recursive: true });
  mkdirSync(join(directory, "data/s/zz/fs"), { recursive: true });
  const after = await open();
  expect([...after.list()].map((info) => info.name)).toEqual(["kept"]);
  expect(numbers()).toEqual(["1"]);
  await after.prepare("new");
  expect(numbers()).toEqual(["1", "4"]);
});

test("a sweep while snapshots are being made takes none of them", async () => {
  const snapshots = await open();
  const names = Array.from({ length: 40 }, (_, at) => `n${at}`);
  await Promise.all(names.flatMap((name) => [snapshots.prepare(name), snapshots.sweep()]));
  for (const name of names) expect(existsSync(snapshots.directory(name))).toBe(true);
});

test("a preparation that fails leaves neither row nor directory", async () => {
  const snapshots = await open();
  await snapshots.prepare("a");
  rmSync(snapshots.directory("a"), { recursive: true });
  await snapshots.commit("A", "a");
  await fails("internal", "ENOENT", snapshots.prepare("b", "A"));
  expect(snapshots.info("b")).toBeUndefined();
  expect(numbers()).toEqual(["1"]);
});

test("dropping keeps roots and their parents, whatever the order, and frees files afterwards", async () => {
  const snapshots = await open();
  const commit = async (name: string, parent?: string) => {
    await snapshots.prepare("key", parent);
    writeFileSync(join(snapshots.directory("key"), "f"), Buffer.alloc(10_000));
    await snapshots.commit(name, "key");
  };
  await commit("base");
  await commit("left", "base");
  await commit("right", "base");
  await commit("leaf", "right");
  await snapshots.prepare("container/1", "left");
  await snapshots.prepare("container/2", "leaf");
  const dropped = db.write((tx) => snapshots.dropUnreferenced(tx, ["container/1", "not there"]));
  expect(dropped.map(({ name }) => name).toSorted()).toEqual(["container/2", "leaf", "right"]);
  expect(numbers()).toHaveLength(6);
  expect(await snapshots.deleteDropped(dropped)).toBeGreaterThanOrEqual(20_000);
  expect(numbers()).toHaveLength(3);
  expect([...snapshots.list()].map((info) => info.name)).toEqual(["base", "left", "container/1"]);
});

test("a data root on overlayfs is refused at open, saying what to do", async () => {
  for (const name of ["l", "u", "w", "m"]) mkdirSync(join(directory, name));
  const [lower, upper, work, root] = ["l", "u", "w", "m"].map((name) => join(directory, name));
  const options = [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${work}`];
  host.mount({ type: "overlay", source: "overlay", options }, root!);
  const attempt = openSnapshots({ db, directory: join(root!, "data"), workers });
  await fails("unavailable", "cannot be stacked on itself. Use a data root on a local file system", attempt);
});

test("whatever else overlayfs has against the directory is said too, and nothing is left", async () => {
  const mounts = {
    ...host,
    mount: () => {
      throw new Error("EINVAL");
    },
  };
  const attempt = openSnapshots({ db, directory: join(directory, "data"), workers, mounts });
  await fails("unavailable", `Layers cannot be kept in ${directory}/data: EINVAL`, attempt);
  expect(readdirSync(join(directory, "data"))).toEqual(["s"]);
});
