import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Db, openDb } from "../db/mod.ts";
import { type ErrorKind, kindOf } from "../errors/mod.ts";
import type { EngineEvent } from "../events/mod.ts";
import { copyTree, createWorkers, type Workers } from "../host/mod.ts";
import type { VolumeCreateBody } from "../wire/mod.ts";
import { openVolumes, type Volumes, volumesMigrations } from "./mod.ts";

let directory = "";
let db: Db;
let volumes: Volumes;
let events: EngineEvent[];
/** What a job that is about to run meets; to fail or to do something in between. */
let beforeJob: (name: string) => void;

const pool = createWorkers({ size: 1, entry: new URL("../host/testing/tree-worker.ts", import.meta.url).href });
const workers: Workers = {
  run: (job, input, options) => {
    beforeJob(job.name);
    return pool.run(job, input, options);
  },
  [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
};
afterAll(() => workers[Symbol.asyncDispose]());

function open(): Promise<Volumes> {
  const bus = { publish: (event: EngineEvent) => void events.push(event) };
  return openVolumes({ db, directory: join(directory, "volumes"), workers, events: bus });
}

beforeEach(async () => {
  directory = mkdtempSync("/tmp/berth-volumes-");
  db = openDb(":memory:", volumesMigrations);
  events = [];
  beforeJob = () => undefined;
  volumes = await open();
});
afterEach(() => {
  db[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

const body = (Name: string, more: Partial<VolumeCreateBody> = {}): VolumeCreateBody => ({
  Name,
  Driver: "",
  DriverOpts: {},
  Labels: {},
  ...more,
});
const data = (name: string) => join(directory, "volumes", name, "_data");

async function fails(kind: ErrorKind, message: string, attempt: () => unknown): Promise<void> {
  let err: unknown;
  try {
    await attempt();
  } catch (reason) {
    err = reason;
  }
  expect((err as Error | undefined)?.message).toBe(message);
  expect(kindOf(err)).toBe(kind);
}

/** An image's directory with what is easily lost in a copy. */
function imageDirectory(): string {
  const source = join(directory, "image");
  mkdirSync(join(source, "sub"), { recursive: true });
  writeFileSync(join(source, "sub/file"), "content");
  chownSync(join(source, "sub/file"), 33, 44);
  chmodSync(join(source, "sub/file"), 0o4750);
  utimesSync(join(source, "sub/file"), 1000, 1_000_000_000);
  linkSync(join(source, "sub/file"), join(source, "link"));
  symlinkSync("/etc/passwd", join(source, "symlink"));
  utimesSync(join(source, "sub"), 1000, 1_100_000_000);
  chownSync(source, 5, 6);
  chmodSync(source, 0o1770);
  utimesSync(source, 1000, 1_200_000_000);
  return source;
}

test("creates, inspects, lists and removes, with events", async () => {
  const made = await volumes.create(body("mine", { Labels: { a: "b" } }));
  expect(made).toEqual({
    Name: "mine",
    Driver: "local",
    Mountpoint: data("mine"),
    CreatedAt: made.CreatedAt,
    Labels: { a: "b" },
    Scope: "local",
    Options: null,
  });
  expect(made.CreatedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  expect(statSync(data("mine")).mode & 0o7777).toBe(0o755);
  expect(volumes.get("mine")).toEqual(made);
  expect(volumes.list(new Map())).toEqual([made]);
  await volumes.remove("mine", false);
  expect(volumes.list(new Map())).toEqual([]);
  expect(readdirSync(join(directory, "volumes"))).toEqual([]);
  const about = { type: "volume", id: "mine", attributes: { driver: "local" } } as const;
  expect(events).toEqual([
    { ...about, action: "create" },
    { ...about, action: "destroy" },
  ]);
});

test("creating one that exists returns it, also for two at once, and tells nobody", async () => {
  const [one, two] = await Promise.all([
    volumes.create(body("mine", { Labels: { first: "" } })),
    volumes.create(body("mine", { Driver: "local" })),
  ]);
  expect(two).toEqual(one);
  expect(events).toHaveLength(1);
});

test("one whose directory somebody deleted can still be removed", async () => {
  await volumes.create(body("mine"));
  rmSync(join(directory, "volumes/mine"), { recursive: true });
  await volumes.remove("mine", false);
  expect(volumes.list(new Map())).toEqual([]);
});

test("one without a name is anonymous", async () => {
  const made = await volumes.create(body(""));
  expect(made.Name).toMatch(/^[0-9a-f]{64}$/);
  expect(made.Labels).toEqual({ "com.docker.volume.anonymous": "" });
});

test("what is wrong is refused in Docker's words", async () => {
  const characters = (name: string) =>
    `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`;
  for (const name of ["../x", "a/b", ".hidden", "-x", "ünï", "a b"]) {
    await fails("invalid", characters(name), () => volumes.create(body(name)));
  }
  const short = "create a: volume name is too short, names should be at least two alphanumeric characters";
  await fails("invalid", short, () => volumes.create(body("a")));
  await fails("invalid", `create ${"x".repeat(40)}…: volume name has 256 characters, at most 255`, () =>
    volumes.create(body("x".repeat(256))),
  );
  const plugin = 'create mine: error looking up volume plugin nfs: plugin "nfs" not found';
  await fails("not-found", plugin, () => volumes.create(body("mine", { Driver: "nfs" })));
  await fails("not-found", "get nope: no such volume", () => volumes.get("nope"));
  await fails("not-found", "get nope: no such volume", () => volumes.acquire("nope", "c1"));
  await fails("not-found", "get nope: no such volume", () => volumes.copyUp("nope", "/"));
  await fails("not-found", "get nope: no such volume", () => volumes.usage("nope"));
  await fails("not-found", "get nope: no such volume", () => volumes.remove("nope", false));
  await volumes.remove("nope", true);
  expect(readdirSync(join(directory, "volumes"))).toEqual([]);
});

test("one that is held stays, even when forced, until the last holder lets go", async () => {
  await volumes.create(body("mine"));
  await Promise.all([volumes.acquire("mine", "c2"), volumes.acquire("mine", "c1"), volumes.acquire("mine", "c1")]);
  expect(volumes.holders("mine")).toEqual(["c1", "c2"]);
  await fails("conflict", "remove mine: volume is in use - [c1, c2]", () => volumes.remove("mine", false));
  await fails("conflict", "remove mine: volume is in use - [c1, c2]", () => volumes.remove("mine", true));
  volumes.release("mine", "c1");
  volumes.release("mine", "c1");
  await fails("conflict", "remove mine: volume is in use - [c2]", () => volumes.remove("mine", false));
  volumes.release("mine", "c2");
  await volumes.remove("mine", false);
});

test("filters", async () => {
  await volumes.create(body("web-data", { Labels: { tier: "web", env: "prod" } }));
  await volumes.create(body("db-data", { Labels: { tier: "db" } }));
  await volumes.create(body("other"));
  await volumes.acquire("db-data", "c1");
  const names = (key: string, ...values: string[]) => volumes.list(new Map([[key, values]])).map((v) => v.Name);
  expect(names("name", "data")).toEqual(["db-data", "web-data"]);
  expect(names("label", "tier")).toEqual(["db-data", "web-data"]);
  expect(names("label", "tier=web", "env")).toEqual(["web-data"]);
  expect(names("label", "toString")).toEqual([]);
  expect(names("driver", "local")).toHaveLength(3);
  expect(names("driver", "nfs")).toEqual([]);
  expect(names("dangling", "true")).toEqual(["other", "web-data"]);
  expect(names("dangling", "0")).toEqual(["db-data"]);
  await fails("invalid", "invalid filter 'colour'", () => names("colour", "red"));
  await fails("invalid", "invalid filter 'toString'", () => names("toString", "x"));
  await fails("invalid", "invalid filter 'dangling=[maybe]'", () => names("dangling", "maybe"));
});

test("prune removes what nobody holds: the anonymous, or all", async () => {
  const { Name: loose } = await volumes.create(body(""));
  const { Name: held } = await volumes.create(body(""));
  await volumes.create(body("named", { Labels: { keep: "" } }));
  await volumes.acquire(held, "c1");
  writeFileSync(join(data(loose), "f"), Buffer.alloc(100_000));
  events.length = 0;
  const { deleted, reclaimed } = await volumes.prune(new Map());
  expect(deleted).toEqual([loose]);
  expect(reclaimed).toBeGreaterThanOrEqual(100_000);
  expect(events.map(({ action, id }) => [action, id])).toEqual([
    ["destroy", loose],
    ["prune", ""],
  ]);
  const all: [string, string[]] = ["all", ["true"]];
  expect((await volumes.prune(new Map([all, ["label!", ["keep"]]]))).deleted).toEqual([]);
  expect((await volumes.prune(new Map([all, ["label", ["keep"]]]))).deleted).toEqual(["named"]);
  await fails("invalid", "invalid filter 'dangling'", () => volumes.prune(new Map([["dangling", ["true"]]])));
});

test("copy-up brings an image's directory with all its attributes into an empty volume", async () => {
  await volumes.create(body("mine"));
  const lease = await volumes.acquire("mine", "c1");
  expect(lease).toEqual({ directory: data("mine"), empty: true });
  await volumes.copyUp("mine", imageDirectory());
  const root = statSync(lease.directory);
  expect([root.mode & 0o7777, root.uid, root.gid, root.mtimeMs]).toEqual([0o1770, 5, 6, 1_200_000_000_000]);
  const file = statSync(join(lease.directory, "sub/file"));
  expect([file.mode & 0o7777, file.uid, file.gid, file.mtimeMs]).toEqual([0o4750, 33, 44, 1_000_000_000_000]);
  expect(statSync(join(lease.directory, "link")).ino).toBe(file.ino);
  expect(readlinkSync(join(lease.directory, "symlink"))).toBe("/etc/passwd");
  expect(statSync(join(lease.directory, "sub")).mtimeMs).toBe(1_100_000_000_000);
  expect((await volumes.acquire("mine", "c2")).empty).toBe(false);
  expect(readdirSync(join(directory, "volumes/mine"))).toEqual(["_data"]);
});

test("copy-up keeps names that are not UTF-8", async () => {
  await volumes.create(body("mine"));
  const source = join(directory, "image");
  mkdirSync(source);
  const name = Buffer.from([0x66, 0xff]);
  writeFileSync(Buffer.concat([Buffer.from(`${source}/`), name]), "x");
  await volumes.copyUp("mine", source);
  expect(readdirSync(data("mine"), { encoding: "buffer" })).toEqual([name]);
});

test("copy-up leaves a volume alone that has something, and does nothing for what is no directory", async () => {
  await volumes.create(body("mine"));
  const source = imageDirectory();
  await volumes.copyUp("mine", join(source, "sub/file"));
  await volumes.copyUp("mine", join(source, "nope"));
  expect(readdirSync(data("mine"))).toEqual([]);
  writeFileSync(join(data("mine"), "precious"), "");
  await volumes.copyUp("mine", source);
  expect(readdirSync(data("mine"))).toEqual(["precious"]);
});

test("two containers that start at once fill it once", async () => {
  await volumes.create(body("mine"));
  const copies: string[] = [];
  beforeJob = (name) => void (name === copyTree.name && copies.push(name));
  const source = imageDirectory();
  await Promise.all([volumes.copyUp("mine", source), volumes.copyUp("mine", source)]);
  expect(copies).toHaveLength(1);
  expect(existsSync(join(data("mine"), "sub/file"))).toBe(true);
});

test("what a holder writes during the copy is not replaced", async () => {
  await volumes.create(body("mine"));
  const source = imageDirectory();
  beforeJob = (name) => {
    if (name === copyTree.name) writeFileSync(join(data("mine"), "link"), "theirs");
  };
  await volumes.copyUp("mine", source);
  expect(readFileSync(join(data("mine"), "link"), "utf8")).toBe("theirs");
  expect(readdirSync(data("mine")).toSorted()).toEqual(["link", "sub", "symlink"]);
  expect(readdirSync(join(directory, "volumes/mine"))).toEqual(["_data"]);
});

test("a copy that was interrupted leaves the volume empty, and is done again", async () => {
  await volumes.create(body("mine"));
  mkdirSync(join(directory, "volumes/mine/copy"));
  writeFileSync(join(directory, "volumes/mine/copy/half"), "");
  volumes = await open();
  expect(await volumes.acquire("mine", "c1")).toEqual({ directory: data("mine"), empty: true });
  await volumes.copyUp("mine", imageDirectory());
  expect(readdirSync(data("mine")).toSorted()).toEqual(["link", "sub", "symlink"]);
});

test("a move that was interrupted is completed when opened", async () => {
  await volumes.create(body("mine"));
  const ready = join(directory, "volumes/mine/ready");
  mkdirSync(ready);
  writeFileSync(join(ready, "second"), "2");
  chmodSync(ready, 0o700);
  writeFileSync(join(data("mine"), "first"), "1");
  volumes = await open();
  expect(readdirSync(data("mine")).toSorted()).toEqual(["first", "second"]);
  expect(statSync(data("mine")).mode & 0o777).toBe(0o700);
  expect(existsSync(ready)).toBe(false);
});

test("a copy that fails leaves the volume usable", async () => {
  await volumes.create(body("mine"));
  const source = imageDirectory();
  beforeJob = (name) => {
    if (name === copyTree.name) throw new Error("disk full");
  };
  await fails("internal", "disk full", () => volumes.copyUp("mine", source));
  beforeJob = () => undefined;
  await volumes.copyUp("mine", source);
  expect(lstatSync(join(data("mine"), "symlink")).isSymbolicLink()).toBe(true);
});

test("opening deletes directories without a row and makes those that a row asks for", async () => {
  await volumes.create(body("kept"));
  await volumes.create(body("lost"));
  rmSync(join(directory, "volumes/lost"), { recursive: true });
  for (const stray of ["stray", ".removed-1"])
    mkdirSync(join(directory, "volumes", stray, "_data"), { recursive: true });
  volumes = await open();
  expect(readdirSync(join(directory, "volumes")).toSorted()).toEqual(["kept", "lost"]);
  expect(statSync(data("lost")).isDirectory()).toBe(true);
});

test("a volume whose directory cannot be made has no row", async () => {
  writeFileSync(join(directory, "volumes/mine"), "in the way");
  await expect(volumes.create(body("mine"))).rejects.toThrow();
  expect(volumes.list(new Map())).toEqual([]);
  expect(events).toEqual([]);
});

test("usage is the size of its files", async () => {
  await volumes.create(body("mine"));
  writeFileSync(join(data("mine"), "f"), Buffer.alloc(1 << 20, "x"));
  expect(await volumes.usage("mine")).toBeGreaterThanOrEqual(1 << 20);
});

test("the lock of a name is free again after a failure", async () => {
  await volumes.create(body("mine"));
  rmSync(join(directory, "volumes/mine"), { recursive: true });
  await expect(volumes.acquire("mine", "c1")).rejects.toThrow();
  expect(volumes.holders("mine")).toEqual([]);
});
