import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Db, openDb } from "../../db/mod.ts";
import { kindOf } from "../../errors/mod.ts";
import { createMounts, createWorkers, type Workers } from "../../host/mod.ts";
import { openVolumes, type Volumes, volumesMigrations } from "../mod.ts";
import { checkOptions, type DriverOptions, hostToResolve } from "./options.ts";

let directory = "";
let db: Db;
let volumes: Volumes;
const workers = createWorkers({
  size: 2,
  entry: new URL("../../host/testing/tree-worker.ts", import.meta.url).href,
});
afterAll(() => workers[Symbol.asyncDispose]());

const open = () =>
  openVolumes({ db, directory: join(directory, "volumes"), workers, events: { publish: () => undefined } });

beforeEach(async () => {
  directory = mkdtempSync("/tmp/berth-volume-mounts-");
  db = openDb(":memory:", volumesMigrations);
  volumes = await open();
});
afterEach(async () => {
  await volumes.recoverMounts(new Map());
  db[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

const create = (Name: string, DriverOpts: DriverOptions) =>
  volumes.create({ Name, Driver: "", DriverOpts, Labels: {} });
const memory = { type: "tmpfs", device: "tmpfs", o: "size=1m,mode=0750" };
const data = (name: string) => join(directory, "volumes", name, "_data");
const mounted = (name: string) =>
  createMounts()
    .list()
    .filter(({ target }) => target === data(name))
    .map(({ type }) => type);

test("options are checked in Docker's words", () => {
  const refused = (options: DriverOptions) => {
    try {
      checkOptions("v", options);
    } catch (err) {
      return `${kindOf(err)}: ${(err as Error).message}`;
    }
    return undefined;
  };
  expect(refused(memory)).toBeUndefined();
  expect(refused({})).toBeUndefined();
  expect(refused({ foo: "bar" })).toBe('invalid: create v: invalid option: "foo"');
  expect(refused({ constructor: "x" })).toBe('invalid: create v: invalid option: "constructor"');
  expect(refused({ type: "tmpfs" })).toBe('invalid: create v: missing required option: "device"');
  expect(refused({ device: "tmpfs" })).toBe('invalid: create v: missing required option: "type"');
  expect(refused({ o: "ro" })).toBe('invalid: create v: missing required option: "device"');
  expect(refused({ size: "abc" })).toBe("invalid: create v: invalid size: 'abc'");
  expect(refused({ ...memory, o: "a\0b" })).toBe("invalid: create v: an option has a NUL byte");
  expect(refused({ type: "cifs", device: "//host:445/share" })).toBe(
    "invalid: create v: port not allowed in CIFS device URL, include 'port' in 'o='",
  );
});

test("the host of a network file system is named in addr or in the device", () => {
  const nfs = { type: "nfs", device: ":/export", o: "rw,addr=files.example,nfsvers=4" };
  const named = hostToResolve(nfs);
  expect(named?.host).toBe("files.example");
  expect(named?.with("10.0.0.9")).toEqual({ ...nfs, o: "rw,addr=10.0.0.9,nfsvers=4" });
  expect(hostToResolve({ ...nfs, o: "addr=10.0.0.9" })).toBeUndefined();
  expect(hostToResolve({ ...nfs, type: "tmpfs" })).toBeUndefined();
  const cifs = { type: "cifs", device: "//files.example/share/x", o: "username=u" };
  expect(hostToResolve(cifs)?.with("10.0.0.9")).toEqual({ ...cifs, device: "//10.0.0.9/share/x" });
  expect(hostToResolve({ ...cifs, device: "//10.0.0.9/share" })).toBeUndefined();
});

test("mounted with the first user, unmounted with the last", async () => {
  expect((await create("mem", memory)).Options).toEqual(memory);
  expect(await volumes.acquire("mem", "c1")).toEqual({ directory: data("mem"), empty: true });
  expect(mounted("mem")).toEqual([]);
  expect(await volumes.mount("mem", "c1")).toBe(data("mem"));
  await volumes.mount("mem", "c2");
  expect(mounted("mem")).toEqual(["tmpfs"]);
  expect(statSync(data("mem")).mode & 0o777).toBe(0o750);
  writeFileSync(join(data("mem"), "f"), "x");
  expect(() => writeFileSync(join(data("mem"), "big"), Buffer.alloc(2 << 20))).toThrow("ENOSPC");
  await volumes.unmountAll("c1");
  await volumes.unmountAll("stranger");
  expect(mounted("mem")).toEqual(["tmpfs"]);
  await volumes.release("mem", "c2");
  expect(mounted("mem")).toEqual([]);
  expect(readdirSync(data("mem"))).toEqual([]);
});

test("two who come at once find one mount", async () => {
  await create("mem", memory);
  await Promise.all(["a", "b", "c"].map((user) => volumes.mount("mem", user)));
  expect(mounted("mem")).toEqual(["tmpfs"]);
  await Promise.all(["a", "b", "c"].map((user) => volumes.unmountAll(user)));
  expect(mounted("mem")).toEqual([]);
});

test("a bind keeps its attributes, and removing the volume leaves what it led to", async () => {
  const host = join(directory, "host");
  mkdirSync(host);
  writeFileSync(join(host, "kept"), "x");
  await create("ro", { type: "none", device: host, o: "bind,ro" });
  await volumes.mount("ro", "c");
  expect(readdirSync(data("ro"))).toEqual(["kept"]);
  expect(() => writeFileSync(join(data("ro"), "f"), "")).toThrow("EROFS");
  await volumes.remove("ro", false); // nobody holds it, as after a crash between two steps
  expect(existsSync(data("ro"))).toBe(false);
  expect(readFileSync(join(host, "kept"), "utf8")).toBe("x");
});

test("what the kernel refuses is told in Docker's words, without the password", async () => {
  await create("bad", { type: "nope", device: "//h/s", o: "ro,username=u,password=secret" });
  const message = await volumes.mount("bad", "c").catch((err: Error) => err.message);
  expect(message).toBe(
    `error while mounting volume '${data("bad")}': failed to mount local volume: mount //h/s:${data("bad")}, flags: 0x1, data: username=u,password=********: no such device`,
  );
  await create("gone", { type: "none", device: join(directory, "nowhere"), o: "bind" });
  await expect(volumes.mount("gone", "c")).rejects.toThrow("flags: 0x1000: no such file or directory");
  await create("far", { type: "nfs", device: ":/x", o: "addr=no-such-host.invalid" });
  await expect(volumes.mount("far", "c")).rejects.toThrow(
    "error resolving passed in network volume address: lookup no-such-host.invalid:",
  );
  await expect(volumes.copyUp("bad", "/etc")).rejects.toThrow("failed to mount local volume");
  expect(mounted("bad")).toEqual([]);
});

test("an existing volume is another one when its options are", async () => {
  await create("mem", memory);
  expect((await create("mem", memory)).Name).toBe("mem");
  expect((await create("mem", {})).Options).toEqual(memory);
  const error = await create("mem", { ...memory, o: "size=2m" }).catch((err: unknown) => err);
  expect(kindOf(error)).toBe("conflict");
  expect((error as Error).message).toContain("volume name must be unique: it exists with o=size=1m,mode=0750");
});

test("an empty one takes an image's files while it is mounted for that alone", async () => {
  const [host, image] = [join(directory, "host"), join(directory, "image")];
  for (const path of [host, image]) mkdirSync(path);
  writeFileSync(join(image, "f"), "from the image");
  chmodSync(image, 0o711);
  await create("bound", { type: "none", device: host, o: "bind" });
  await volumes.copyUp("bound", image);
  expect(mounted("bound")).toEqual([]);
  expect(readFileSync(join(host, "f"), "utf8")).toBe("from the image");
  expect(statSync(host).mode & 0o777).toBe(0o711);
  writeFileSync(join(host, "f"), "own");
  await volumes.copyUp("bound", image);
  expect(readFileSync(join(host, "f"), "utf8")).toBe("own");
});

test("after a restart users keep their mounts, and others' go", async () => {
  await create("used", memory);
  await create("left", memory);
  await volumes.mount("used", "c1");
  await volumes.mount("left", "c2");
  writeFileSync(join(data("used"), "f"), "kept");
  db.write((tx) => tx.run("DELETE FROM volumes WHERE name = 'left'"));
  volumes = await open();
  expect(existsSync(join(directory, "volumes/left"))).toBe(false);
  await volumes.recoverMounts(new Map([["used", ["c1"]]]));
  expect(readFileSync(join(data("used"), "f"), "utf8")).toBe("kept");
  await volumes.unmountAll("c1");
  expect(mounted("used")).toEqual([]);
  await volumes.mount("used", "c3");
  volumes = await open();
  await volumes.recoverMounts(new Map());
  expect(mounted("used")).toEqual([]);
});

test("a volume's directory keeps the mode that its users gave it", async () => {
  await create("own", {});
  chmodSync(data("own"), 0o700);
  volumes = await open();
  expect(statSync(data("own")).mode & 0o777).toBe(0o700);
});

test("those with options are no business of prune", async () => {
  await create("mem", memory);
  await create("plain", {});
  expect((await volumes.prune(new Map([["all", ["true"]]]))).deleted).toEqual(["plain"]);
});

test("a server that does not answer keeps nobody waiting but who wants its volume", async () => {
  const hanging = Promise.withResolvers<undefined>();
  const mounters: Workers = {
    run: (job, input, options) =>
      (input as { type?: string }).type === "nfs" ? (hanging.promise as never) : workers.run(job, input, options),
    [Symbol.asyncDispose]: async () => undefined,
  };
  const options = {
    db,
    directory: join(directory, "volumes"),
    workers,
    mounters,
    events: { publish: () => undefined },
  };
  volumes = await openVolumes(options);
  await create("far", { type: "nfs", device: ":/x", o: "addr=10.0.0.9" });
  await create("mem", memory);
  let answered = false;
  const waiting = volumes.mount("far", "c1").then(() => {
    answered = true;
  });
  await volumes.mount("mem", "c2");
  expect(volumes.list(new Map()).map(({ Name }) => Name)).toEqual(["far", "mem"]);
  expect(volumes.get("far").Options?.["type"]).toBe("nfs");
  await volumes.unmountAll("c2");
  expect(mounted("mem")).toEqual([]);
  expect(answered).toBe(false);
  hanging.resolve(undefined);
  await waiting;
});
