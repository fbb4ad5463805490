import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { type Db, openDb } from "../../db/mod.ts";
import { kindOf } from "../../errors/mod.ts";
import type { EngineEvent } from "../../events/mod.ts";
import { createWorkers } from "../../host/mod.ts";
import { openVolumes, type Volumes, volumesMigrations } from "../mod.ts";

let directory = "";
let db: Db;
let volumes: Volumes;
let events: EngineEvent[] = [];
const workers = createWorkers({
  size: 2,
  entry: new URL("../../host/testing/tree-worker.ts", import.meta.url).href,
});
afterAll(() => workers[Symbol.asyncDispose]());

const bus = { publish: (event: EngineEvent) => void events.push(event) };
const open = () => openVolumes({ db, directory: join(directory, "volumes"), workers, events: bus });

beforeEach(async () => {
  directory = mkdtempSync("/tmp/berth-volume-moves-");
  db = openDb(":memory:", volumesMigrations);
  events = [];
  volumes = await open();
});
afterEach(async () => {
  await volumes.recoverMounts(new Map());
  db[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

const request = (Name: string, DriverOpts = {}) => ({ Name, Driver: "", DriverOpts, Labels: {} });
const home = (name: string) => join(directory, "volumes", name);
const data = (name: string) => join(home(name), "_data");
const names = () => volumes.list(new Map()).map(({ Name }) => Name);

async function filled(name: string, text = "x"): Promise<void> {
  await volumes.create(request(name));
  writeFileSync(join(data(name), "f"), text);
}

async function refusal(attempt: Promise<unknown>): Promise<string> {
  const err = await attempt.catch((reason: unknown) => reason);
  return `${kindOf(err)}: ${(err as Error).message}`;
}

test("a renamed volume keeps files, labels, age and holders", async () => {
  await volumes.create({ ...request("old"), Labels: { a: "b" } });
  writeFileSync(join(data("old"), "f"), "x");
  const before = volumes.get("old");
  await volumes.acquire("old", "c1");
  await volumes.rename("old", "new");
  expect(volumes.get("new")).toEqual({ ...before, Name: "new", Mountpoint: data("new") });
  expect(volumes.holders("new")).toEqual(["c1"]);
  expect(readFileSync(join(data("new"), "f"), "utf8")).toBe("x");
  expect(existsSync(home("old"))).toBe(false);
  expect(events.at(-1)).toMatchObject({ action: "rename", id: "new", attributes: { oldName: "old" } });
});

test("an anonymous volume that got a name is not pruned", async () => {
  const { Name } = await volumes.create({ ...request(""), Labels: { a: "b" } });
  await volumes.rename(Name, "kept");
  expect(volumes.get("kept").Labels).toEqual({ a: "b" });
  expect((await volumes.prune(new Map())).deleted).toEqual([]);
});

test("what cannot be renamed", async () => {
  await filled("one");
  await filled("two");
  expect(await refusal(volumes.rename("nope", "three"))).toBe("not-found: get nope: no such volume");
  expect(await refusal(volumes.rename("one", "two"))).toBe("conflict: rename one: a volume named two exists already");
  expect(await refusal(volumes.rename("one", "one"))).toContain("conflict: ");
  expect(await refusal(volumes.rename("one", "../x"))).toStartWith("invalid: rename ../x: ");
  await volumes.acquire("one", "c1");
  await volumes.mount("one", "c1");
  expect(await refusal(volumes.rename("one", "three"))).toBe(
    "conflict: rename one: volume is in use by running containers - [c1]",
  );
  const refused = () => {
    throw new Error("no");
  };
  expect(await refusal(volumes.rename("two", "three", refused))).toBe("internal: no");
  expect(names()).toEqual(["one", "two"]);
});

test("a crash between the rename of the row and that of the directory", async () => {
  await filled("old");
  await volumes.rename("old", "new");
  renameSync(home("new"), home("old"));
  db.write((tx) => tx.run("UPDATE volumes SET movedFrom = 'old' WHERE name = 'new'"));
  volumes = await open();
  expect(names()).toEqual(["new"]);
  expect(readFileSync(join(data("new"), "f"), "utf8")).toBe("x");
  expect(existsSync(home("old"))).toBe(false);
});

test("a clone has the same files, holes stay holes, and it appears when it is complete", async () => {
  await filled("src");
  chmodSync(data("src"), 0o711);
  const fd = openSync(join(data("src"), "sparse"), "w");
  writeSync(fd, "end", 64 << 20);
  let seen: string[] | undefined;
  await volumes.clone("src", request("dst"), {
    onBytes: () => {
      seen = names();
    },
  });
  expect(seen).toEqual(["src"]);
  expect(names()).toEqual(["dst", "src"]);
  expect(statSync(data("dst")).mode & 0o777).toBe(0o711);
  expect(readFileSync(join(data("dst"), "f"), "utf8")).toBe("x");
  const { size, blocks } = statSync(join(data("dst"), "sparse"));
  expect(size).toBe((64 << 20) + 3);
  expect(blocks * 512).toBeLessThan(1 << 20);
  expect(volumes.holders("src")).toEqual([]);
});

test("what cannot be cloned leaves nothing", async () => {
  await filled("src");
  await filled("taken");
  expect(await refusal(volumes.clone("nope", request("dst")))).toBe("not-found: get nope: no such volume");
  expect(await refusal(volumes.clone("src", request("taken")))).toContain("conflict: create taken");
  expect(await refusal(volumes.clone("src", request("/x")))).toStartWith("invalid: create /x");
  const stop = new AbortController();
  const aborted = volumes.clone("src", request("dst"), { signal: stop.signal, onBytes: () => stop.abort() });
  stop.abort();
  await expect(aborted).rejects.toThrow();
  expect(names()).toEqual(["src", "taken"]);
  expect(readdirSync(join(directory, "volumes")).sort()).toEqual(["src", "taken"]);
  expect(volumes.holders("src")).toEqual([]);
});

test("one that is being made is nobody's until it is", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const importing = volumes.import("new", { force: false, unpack: () => promise });
  expect(names()).toEqual([]);
  expect(await refusal(volumes.create(request("new")))).toContain("a volume of that name is being made");
  expect(await refusal(volumes.acquire("new", "c1"))).toBe("not-found: get new: no such volume");
  expect(await refusal(volumes.remove("new", false))).toBe("not-found: get new: no such volume");
  await volumes.sweep();
  resolve();
  await importing;
  expect(names()).toEqual(["new"]);
});

test("an import fills an empty volume, and replaces what one has only when forced", async () => {
  const put = (text: string) => (root: string) => Bun.write(join(root, "g"), text).then(() => undefined);
  await volumes.create(request("vol"));
  await volumes.import("vol", { force: false, unpack: put("1") });
  expect(readdirSync(data("vol"))).toEqual(["g"]);
  let unpacked = false;
  const never = async () => {
    unpacked = true;
  };
  expect(await refusal(volumes.import("vol", { force: false, unpack: never }))).toBe(
    "conflict: import vol: volume is not empty; use --force to replace what it has",
  );
  expect(unpacked).toBe(false);
  writeFileSync(join(data("vol"), "other"), "");
  await volumes.import("vol", { force: true, unpack: put("2") });
  expect(readdirSync(data("vol"))).toEqual(["g"]);
  expect(readFileSync(join(data("vol"), "g"), "utf8")).toBe("2");
  expect(readdirSync(home("vol"))).toEqual(["_data"]);
});

test("an import that fails changes nothing; a container that runs is a reason not to begin", async () => {
  await filled("vol");
  const broken = async (root: string) => {
    writeFileSync(join(root, "half"), "");
    throw new Error("broken");
  };
  expect(await refusal(volumes.import("vol", { force: true, unpack: broken }))).toBe("internal: broken");
  expect(await refusal(volumes.import("new", { force: false, unpack: broken }))).toBe("internal: broken");
  expect(readdirSync(data("vol"))).toEqual(["f"]);
  expect(readdirSync(home("vol"))).toEqual(["_data"]);
  expect(names()).toEqual(["vol"]);
  await volumes.acquire("vol", "c1");
  const late = async () => void (await volumes.mount("vol", "c1"));
  expect(await refusal(volumes.import("vol", { force: true, unpack: late }))).toContain("in use by running containers");
  expect(await refusal(volumes.import("vol", { force: true, unpack: late }))).toContain("in use by running containers");
  expect(readdirSync(data("vol"))).toEqual(["f"]);
});

test("a volume with options is written to in place, while it is empty", async () => {
  const host = join(directory, "host");
  mkdirSync(host);
  await volumes.create(request("vol", { type: "none", device: host, o: "bind" }));
  const unpack = async (root: string) => writeFileSync(join(root, "g"), "1");
  await volumes.import("vol", { force: false, unpack });
  expect(readdirSync(host)).toEqual(["g"]);
  expect(await refusal(volumes.import("vol", { force: true, unpack }))).toContain("not emptied by --force");
  expect(volumes.holders("vol")).toEqual([]);
});

test.each<[string, () => void, string]>([
  ["while it is unpacked", () => stage("incoming-1"), "x"],
  ["once it is complete", () => stage("next"), "new"],
  ["between the two renames", () => stage("next", "old"), "new"],
  ["before the old files are gone", () => stage("old"), "x"],
])("a crash of an import %s", async (_, crash, expected) => {
  await filled("vol");
  crash();
  volumes = await open();
  expect(readdirSync(home("vol"))).toEqual(["_data"]);
  expect(readFileSync(join(data("vol"), "f"), "utf8")).toBe(expected);
});

function stage(name: string, dataAs = "_data"): void {
  renameSync(data("vol"), join(home("vol"), dataAs));
  mkdirSync(join(home("vol"), name));
  writeFileSync(join(home("vol"), name, "f"), "new");
}

test("what a crash leaves of a new volume, and of holds, is gone after the next start", async () => {
  await filled("src");
  await volumes.hold("src");
  expect(await refusal(volumes.remove("src", false))).toContain("volume is in use - [job/");
  db.write((tx) =>
    tx.run(
      "INSERT INTO volumes (name, driver, labels, anonymous, created, state) VALUES ('half', 'local', '{}', 0, 0, 'making')",
    ),
  );
  mkdirSync(data("half"), { recursive: true });
  volumes = await open();
  expect(readdirSync(join(directory, "volumes"))).toEqual(["src"]);
  expect((await volumes.clone("src", request("half"))).Name).toBe("half");
  await volumes.remove("src", false);
});
