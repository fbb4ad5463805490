import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createMounts, setXattr } from "../host/mod.ts";
import { digestOf } from "../oci/mod.ts";
import { collect, fromBuffer, readTar, type TarHeader } from "../stream/mod.ts";
import { packTree } from "./mod.ts";
import { archive, type Entry, layerOf, neverAborted, openStore, type Store } from "./testing/store.ts";

let store: Store;
beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store[Symbol.asyncDispose]());

const signal = neverAborted;
const failure = (promise: Promise<unknown>) => promise.catch((err: unknown) => err);

/** A snapshot made by running a script in a mounted active one on top of these entries. */
async function written(below: (Entry | string)[], script: string): Promise<string> {
  const parent = below.length > 0 ? await committed(...below) : undefined;
  const key = `test/${crypto.randomUUID()}`;
  const [mount] = await store.snapshots.prepare(key, parent);
  const at = join(store.directory, `mnt-${crypto.randomUUID()}`);
  mkdirSync(at);
  const mounts = createMounts();
  mounts.mount(mount!, at);
  const child = Bun.spawnSync(["bash", "-ec", script], { cwd: at, stderr: "pipe" });
  mounts.unmount(at);
  if (child.exitCode !== 0) throw new Error(child.stderr.toString());
  return key;
}

async function committed(...entries: (Entry | string)[]): Promise<string> {
  const top = await store.layers.unpack([await layerOf(store.content, await archive(...entries))], { signal });
  return top!;
}

async function entriesOf(tar: Uint8Array): Promise<Map<string, TarHeader & { text: string }>> {
  const found = new Map<string, TarHeader & { text: string }>();
  for await (const { header, content } of readTar(fromBuffer(tar))) {
    const text = (await collect(content, 1 << 24)).toString("latin1");
    found.set(Buffer.from(header.name).toString("latin1"), { ...header, text });
  }
  return found;
}

async function packed(snapshot: string): Promise<Map<string, TarHeader & { text: string }>> {
  const { blob } = await store.layers.pack(snapshot);
  return entriesOf(readFileSync(store.content.path(blob.digest)));
}

const base: (Entry | string)[] = [
  { name: "etc/", mode: 0o750 },
  { name: "etc/passwd", text: "root" },
  { name: "etc/group", text: "group" },
  { name: "dir/", mode: 0o755 },
  { name: "dir/sub/", mode: 0o755 },
  { name: "dir/sub/file", text: "deep" },
  { name: "other/", mode: 0o755 },
  { name: "other/x", text: "x" },
];

describe("pack", () => {
  test("what overlayfs wrote becomes entries and whiteouts, sorted", async () => {
    const key = await written(
      base,
      `echo new > etc/new; rm etc/group; rm -r dir; mkdir dir; echo y > dir/y; rm -r other; ln etc/new etc/hard; ln -s new etc/link
       mkfifo pipe; mknod null c 1 3; chown 12:34 etc/new; chmod 4755 etc/new; touch -d @1234.567891234 etc/new
       python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'; printf x > $'odd\\xff'`,
    );
    setXattr(join(store.snapshots.directory(key), "etc/new"), "user.x", Buffer.from("v"));
    const entries = await packed(key);
    expect([...entries.keys()]).toEqual([
      ...[
        "dir",
        "dir/.wh..wh..opq",
        "dir/y",
        "etc",
        "etc/.wh.group",
        "etc/hard",
        "etc/link",
        "etc/new",
        "null",
        "odd\xff",
      ],
      ...[".wh.other", "pipe"],
    ]);
    // The first of several names is the file; overlayfs' own attributes stay behind.
    expect(entries.get("etc/hard")).toMatchObject({ type: "file", text: "new\n", mode: 0o4755, uid: 12, gid: 34 });
    expect(entries.get("etc/hard")?.mtime).toBe(1_234_567_891_234n);
    expect([...(entries.get("etc/hard")?.xattrs ?? [])]).toEqual([["user.x", Buffer.from("v")]]);
    expect(entries.get("etc/new")).toMatchObject({ type: "hardlink", linkname: Buffer.from("etc/hard") });
    expect(entries.get("etc/link")).toMatchObject({ type: "symlink", linkname: Buffer.from("new") });
    expect(entries.get("etc")).toMatchObject({ type: "directory", mode: 0o750 });
    expect(entries.get("null")).toMatchObject({ type: "character", major: 1, minor: 3 });
    expect(entries.get("dir")?.xattrs).toBeUndefined();
    expect(entries.get(".wh.other")).toMatchObject({ type: "file", size: 0n });
  });

  test("there and back again gives the same digest, and it is verified", async () => {
    const key = await written(base, "echo a > a; mkdir -p b/c; ln a b/c/hard; rm etc/passwd; rm -r dir; mkdir dir");
    const first = await store.layers.pack(key);
    expect(first.diffId).toBe(first.blob.digest);
    expect(digestOf(readFileSync(store.content.path(first.blob.digest)))).toBe(first.diffId);
    expect(await store.layers.pack(key)).toEqual(first);
    const bottom = await layerOf(store.content, await archive(...base));
    const top = await store.layers.unpack([bottom, { diffId: first.diffId, blob: first.blob }], { signal });
    expect(await store.layers.pack(top!)).toEqual(first);
  });

  test("a large sparse file is expanded, and back-pressure holds", async () => {
    const key = await written([], "truncate -s 60M sparse; printf end >> sparse");
    const { blob } = await store.layers.pack(key);
    expect(blob.size).toBeGreaterThan(60 * 2 ** 20);
    const entries = Bun.spawnSync(["tar", "-xOf", store.content.path(blob.digest), "sparse"], { stdout: "pipe" });
    expect(entries.stdout.subarray(-3).toString()).toBe("end");
  });

  test("packs of committed snapshots are remembered while the blob is there", async () => {
    const name = await committed("remembered");
    const first = await store.layers.pack(name);
    const path = store.content.path(first.blob.digest);
    writeFileSync(join(store.snapshots.directory(name), "sneaked in"), "");
    expect(await store.layers.pack(name)).toEqual(first);
    await store.content.remove(first.blob.digest);
    const again = await store.layers.pack(name);
    expect(again.blob.digest).not.toBe(first.blob.digest);
    expect(store.content.path(again.blob.digest)).not.toBe(path);
  });

  test("times are clamped, without being remembered", async () => {
    const name = await committed(
      { name: "late", mtime: 2_000_000_000_500_000_000n },
      { name: "early", mtime: 5_000_000_000n },
    );
    const clamped = await store.layers.pack(name, { sourceDateEpoch: 1_000 });
    const entries = await entriesOf(readFileSync(store.content.path(clamped.blob.digest)));
    expect(entries.get("late")?.mtime).toBe(1_000_000_000_000n);
    expect(entries.get("early")?.mtime).toBe(5_000_000_000n);
    expect((await packed(name)).get("late")?.mtime).toBe(2_000_000_000_500_000_000n);
  });

  test("empty or not", async () => {
    expect(await store.layers.pack(await written(base, "true"))).toMatchObject({ empty: true });
    expect(await store.layers.pack(await written(base, "touch etc"))).toMatchObject({ empty: false });
  });

  test("a name that would mean a deletion is refused, as is a snapshot that is not there", async () => {
    const key = await written(base, "touch .wh.passwd");
    expect(await failure(store.layers.pack(key))).toMatchObject({
      kind: "invalid",
      message: expect.stringContaining(".wh.passwd"),
    });
    expect(await failure(store.layers.pack("none"))).toMatchObject({ kind: "not-found" });
  });

  test("an abort leaves nothing in the content store", async () => {
    const key = await written([], "truncate -s 200M big");
    const blobs = [...store.content.list()].length;
    const abort = new AbortController();
    const packing = failure(store.layers.pack(key, { signal: abort.signal }));
    abort.abort();
    expect(await packing).toMatchObject({ name: "AbortError" });
    expect([...store.content.list()].length).toBe(blobs);
  });
});

describe("changes", () => {
  async function changes(key: string): Promise<string[]> {
    const letters = { modified: "C", added: "A", deleted: "D" };
    return (await store.layers.changes(key)).map(({ path, kind }) => `${letters[kind]} ${path}`);
  }

  test("added, modified and deleted, with the directories above", async () => {
    const key = await written(
      base,
      "echo n > etc/new; echo m > etc/passwd; rm etc/group; mkdir -p a/b; touch dir/sub/file; rm -r other; mkdir other; echo x > other/y",
    );
    expect(await changes(key)).toEqual([
      ...["A /a", "A /a/b", "C /dir", "C /dir/sub", "C /dir/sub/file"],
      ...["C /etc", "D /etc/group", "A /etc/new", "C /etc/passwd", "C /other", "D /other/x", "A /other/y"],
    ]);
  });

  test("against several layers with whiteouts, opaque directories and files in the way", async () => {
    const first = await archive("w/x", "o/x", "o/y/z", "f/x", "gone/x");
    const second = await archive("w/.wh.x", "o/.wh..wh..opq", "o/n", ".wh.f", { name: "f", text: "file" }, ".wh.gone");
    const layers = await Promise.all([first, second].map((tar) => layerOf(store.content, tar)));
    const top = await store.layers.unpack(layers, { signal });
    const key = `test/${crypto.randomUUID()}`;
    const [mount] = await store.snapshots.prepare(key, top);
    const at = join(store.directory, `mnt-${crypto.randomUUID()}`);
    mkdirSync(at);
    createMounts().mount(mount!, at);
    Bun.spawnSync(
      ["bash", "-ec", "echo > w/x; echo > o/x; echo > o/n; rm f; mkdir f; echo > f/x; mkdir gone; echo > gone/x"],
      { cwd: at },
    );
    createMounts().unmount(at);
    expect(await changes(key)).toEqual([
      ...["C /f", "A /f/x", "A /gone", "A /gone/x", "C /o", "C /o/n", "A /o/x", "C /w", "A /w/x"],
    ]);
  });

  test("everything is new without a parent, and nothing without a change", async () => {
    expect(await changes(await written([], "mkdir a; echo > a/f; ln -s a é"))).toEqual(["A /a", "A /a/f", "A /é"]);
    expect(await changes(await written(base, "true"))).toEqual([]);
    expect(await failure(store.layers.changes("none"))).toMatchObject({ kind: "not-found" });
  });
});

describe("packTree", () => {
  test("a tree that belongs to a user namespace has the owners that it has inside", async () => {
    const at = join(store.directory, "owned");
    mkdirSync(at);
    for (const [name, id] of Object.entries({ inside: 100_005, outside: 7 })) {
      writeFileSync(join(at, name), name);
      chownSync(join(at, name), id, id + 100_000);
    }
    const range = { inside: 0, size: 10 };
    const owners = { uids: [{ ...range, outside: 100_000 }], gids: [{ ...range, outside: 200_000 }] };
    const entries = await entriesOf(await collect(packTree(store.workers, at, { owners }), 1 << 24));
    const found = [...entries].map(([name, { uid, gid }]) => [name, uid, gid]);
    expect(found).toEqual([
      ["inside", 5, 5],
      ["outside", 65_534, 65_534],
    ]);
  });

  test("a mounted root as others read it", async () => {
    const at = join(store.directory, "export");
    mkdirSync(join(at, "mnt"), { recursive: true });
    mkdirSync(join(at, "d"));
    writeFileSync(join(at, "d/.wh.literal"), "kept");
    writeFileSync(join(at, "big"), Buffer.alloc(3_000_000, "x"));
    createMounts().mount({ type: "tmpfs", source: "none", options: [] }, join(at, "mnt"));
    writeFileSync(join(at, "mnt/hidden"), "");
    const tar = await collect(packTree(store.workers, at), 1 << 24);
    createMounts().unmount(join(at, "mnt"));
    const entries = await entriesOf(tar);
    expect([...entries.keys()]).toEqual(["big", "d", "d/.wh.literal", "mnt"]);
    expect(entries.get("big")?.size).toBe(3_000_000n);
  });

  test("a reader that stops, stops the packing; a slow one holds it up", async () => {
    const at = join(store.directory, "slow");
    mkdirSync(at);
    Bun.spawnSync(["truncate", "-s", "20G", join(at, "endless")]);
    let size = 0;
    for await (const piece of packTree(store.workers, at)) {
      size += piece.length;
      if (size > 1_000_000) break;
    }
    expect(size).toBeLessThan(3_000_000);
    const abort = new AbortController();
    const reading = (async () => {
      for await (const _ of packTree(store.workers, at, { signal: abort.signal })) abort.abort();
    })();
    expect(await failure(reading)).toMatchObject({ name: "AbortError" });
    expect(await store.layers.chain(digestOf("x"))).toBeUndefined();
  });

  test("a directory that is not there", async () => {
    const reading = collect(packTree(store.workers, join(store.directory, "none")), 1);
    expect(await failure(reading)).toMatchObject({ kind: "internal" });
  });
});
