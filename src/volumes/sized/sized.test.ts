import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Db, openDb } from "../../db/mod.ts";
import { createMounts, createProcesses, createWorkers, mountDisk } from "../../host/mod.ts";
import { openVolumes, type Volumes, type VolumesOptions, volumesMigrations } from "../mod.ts";

const mounts = createMounts();
const workers = createWorkers({ size: 1, entry: new URL("../../host/testing/tree-worker.ts", import.meta.url).href });
afterAll(() => workers[Symbol.asyncDispose]());
let directory = "";
let db: Db;
let volumes: Volumes;

const open = (more: Partial<VolumesOptions> = {}) =>
  openVolumes({ db, directory: join(directory, "volumes"), workers, events: { publish: () => undefined }, ...more });
const mounted = () => mounts.list().filter(({ target }) => target.startsWith(`${directory}/`));
const home = (name: string) => join(directory, "volumes", name);
const sized = (Name: string, size = "4m") => ({ Name, Driver: "", DriverOpts: { size }, Labels: {} });

/** Not `rejects`, in which Bun 1.4 does not hear of worker threads. */
const failure = (attempt: Promise<unknown>) =>
  attempt.then(
    () => "",
    (err: Error) => err.message,
  );

beforeEach(async () => {
  directory = mkdtempSync("/tmp/berth-sized-");
  db = openDb(":memory:", volumesMigrations);
  volumes = await open();
});
afterEach(() => {
  for (const { target } of mounted().reverse()) mounts.unmount(target, "detach");
  db[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

test("it is empty, and mounted while somebody uses it", async () => {
  await volumes.create(sized("vv"));
  expect(mounted()).toEqual([]);
  expect(readdirSync(home("vv")).sort()).toEqual(["_data", "disk"]);
  const [at, same] = [await volumes.mount("vv", "one"), await volumes.mount("vv", "two")];
  expect([same, readdirSync(at), statSync(at).mode & 0o7777]).toEqual([at, [], 0o755]);
  await volumes.unmountAll("one");
  expect(mounted()).toHaveLength(1);
  await volumes.unmountAll("two");
  expect(mounted()).toEqual([]);
});

test("one that was unmounted by hand is mounted for who comes next", async () => {
  await volumes.create(sized("vv"));
  const at = await volumes.mount("vv", "one");
  mounts.unmount(at, "detach");
  writeFileSync(join(await volumes.mount("vv", "two"), "file"), "x");
  expect(mounted()).toHaveLength(1);
  await volumes.unmountAll("one");
  await volumes.unmountAll("two");
  expect([mounted(), readdirSync(at)]).toEqual([[], []]);
});

test("of one that cannot be made nothing is left", async () => {
  const processes = { run: async () => ({ code: 1, stdout: "", stderr: "no space\n" }) };
  volumes = await open({ processes });
  expect(await failure(volumes.create(sized("vv")))).toMatch(`Make a file system in ${home("vv")}/disk.new: no space`);
  expect([volumes.list(new Map()), readdirSync(join(directory, "volumes"))]).toEqual([[], []]);
});

test("one that a crash left half made is made again", async () => {
  await volumes.create(sized("vv"));
  rmSync(join(home("vv"), "disk"));
  mkdirSync(join(directory, "other"));
  await createProcesses().run(["sh", "-c", `cd ${home("vv")} && truncate -s 64M disk.new && mkfs.ext4 -q disk.new`]);
  await workers.run(mountDisk, { image: join(home("vv"), "disk.new"), target: join(home("vv"), "_data"), limit: 4096 });
  volumes = await open();
  await volumes.recoverMounts(new Map());
  expect([mounted(), readdirSync(home("vv")).sort()]).toEqual([[], ["_data", "disk"]]);
  expect(readdirSync(await volumes.mount("vv", "one"))).toEqual([]);
});

test("a disk that cannot be made again keeps nobody from starting", async () => {
  await volumes.create(sized("vv"));
  rmSync(join(home("vv"), "disk"));
  const processes = { run: async () => Promise.reject(new Error("The program mkfs.ext4 is missing")) };
  volumes = await open({ processes });
  expect(await failure(volumes.mount("vv", "one"))).toMatch(
    `error while mounting volume '${home("vv")}/_data': ${home("vv")}/disk is missing`,
  );
  volumes = await open();
  expect(readdirSync(await volumes.mount("vv", "one"))).toEqual([]);
});

test("an import that a crash interrupted leaves what was there", async () => {
  await volumes.create(sized("vv"));
  writeFileSync(join(await volumes.mount("vv", "one"), "file"), "kept");
  await volumes.unmountAll("one");
  const staged = join(home("vv"), "incoming-x", "_data");
  mkdirSync(staged, { recursive: true });
  mounts.mount({ type: "tmpfs", source: "tmpfs", options: [] }, staged);
  volumes = await open();
  expect([mounted(), readdirSync(home("vv")).sort()]).toEqual([[], ["_data", "disk"]]);
  expect(readFileSync(join(await volumes.mount("vv", "one"), "file"), "utf8")).toBe("kept");
});

test("an import takes effect at once, or not at all", async () => {
  await volumes.create(sized("vv"));
  const fill = (name: string) => async (at: string) => writeFileSync(join(at, name), "x");
  await volumes.import("vv", { force: false, unpack: fill("one") });
  const failing = async () => Promise.reject(new Error("broken archive"));
  expect(await failure(volumes.import("vv", { force: true, unpack: failing }))).toMatch("broken archive");
  expect(await failure(volumes.import("vv", { force: false, unpack: fill("two") }))).toMatch("volume is not empty");
  expect(readdirSync(await volumes.mount("vv", "one"))).toEqual(["one"]);
  expect(await failure(volumes.import("vv", { force: true, unpack: fill("two") }))).toMatch("in use by running");
  await volumes.unmountAll("one");
  await volumes.import("vv", { force: true, unpack: fill("two") });
  expect(readdirSync(await volumes.mount("vv", "one"))).toEqual(["two"]);
  await volumes.unmountAll("one");
  const resizing = async () => void (await volumes.resize("vv", "5m"));
  expect(await failure(volumes.import("vv", { force: true, unpack: resizing }))).toMatch("resized meanwhile");
  expect([mounted(), readdirSync(home("vv")).sort()]).toEqual([[], ["_data", "disk"]]);
});

test("an image's files come in all at once, or not at all, and only into an empty one", async () => {
  const image = join(directory, "image");
  mkdirSync(image, { mode: 0o750 });
  for (const name of ["a", "b"]) writeFileSync(join(image, name), "x".repeat(60_000));
  await volumes.create(sized("tight", "80k"));
  expect(await failure(volumes.copyUp("tight", image))).toMatch(/no space|ENOSPC/i);
  expect(readdirSync(await volumes.mount("tight", "one"))).toEqual([]);
  await volumes.create(sized("vv"));
  await volumes.copyUp("vv", image);
  const at = await volumes.mount("vv", "one");
  expect([readdirSync(at).sort(), statSync(at).mode & 0o7777]).toEqual([["a", "b"], 0o750]);
  rmSync(join(at, "a"));
  await volumes.copyUp("vv", image);
  expect(readdirSync(at)).toEqual(["b"]);
  rmSync(join(at, "b"));
  await volumes.copyUp("vv", image);
  expect(readdirSync(at).sort()).toEqual(["a", "b"]);
});

test("a clone has the same limit, or its own, and no other options", async () => {
  await volumes.create(sized("vv"));
  writeFileSync(join(await volumes.mount("vv", "one"), "file"), "x".repeat(100_000));
  expect((await volumes.clone("vv", sized("same", "4m"))).Options).toEqual({ size: "4m" });
  expect((await volumes.clone("vv", { ...sized("alike"), DriverOpts: {} })).Options).toEqual({ size: "4m" });
  expect(await failure(volumes.clone("vv", sized("less", "50k")))).toMatch(/no space|ENOSPC/i);
  expect(await failure(volumes.clone("vv", { ...sized("odd"), DriverOpts: { type: "tmpfs" } }))).toMatch(
    '"size", not "type"',
  );
  await volumes.unmountAll("one");
  expect([mounted(), readdirSync(join(directory, "volumes")).sort()]).toEqual([[], ["alike", "same", "vv"]]);
  expect(await volumes.usage("same")).toBeGreaterThan(100_000);
});

test("labels: set, changed, taken away", async () => {
  await volumes.create({ Name: "vv", Driver: "", DriverOpts: {}, Labels: { a: "1", b: "2" } });
  expect(volumes.relabel("vv", { a: null, b: "3", c: "" }).Labels).toEqual({ b: "3", c: "" });
  expect(volumes.relabel("vv", { b: null, c: null }).Labels).toBeNull();
  const anonymous = await volumes.create({ Name: "", Driver: "", DriverOpts: {}, Labels: {} });
  volumes.relabel(anonymous.Name, { "com.docker.volume.anonymous": null });
  expect((await volumes.prune(new Map())).deleted).toEqual([]);
  expect(() => volumes.relabel("nope", { a: "b" })).toThrow("get nope: no such volume");
});
