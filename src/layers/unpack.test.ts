import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { EngineError } from "../errors/mod.ts";
import { createMounts, readXattr, removeTree } from "../host/mod.ts";
import { chainIds, digestOf } from "../oci/mod.ts";
import { isOpaque, isWhiteout } from "./jobs/overlay.ts";
import type { LayerSource } from "./layers.ts";
import { openLayers } from "./mod.ts";
import { archive, type Entry, layerOf, neverAborted, openStore, type Store } from "./testing/store.ts";

let store: Store;
beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store[Symbol.asyncDispose]());

const signal = neverAborted;

/** Unpacks archives on top of each other; the directory of the topmost. */
async function unpacked(...tars: Buffer[]): Promise<string> {
  const layers = await Promise.all(tars.map((tar) => layerOf(store.content, tar)));
  const top = await store.layers.unpack(layers, { signal });
  return store.snapshots.directory(top!);
}

async function refusal(...entries: (Entry | string)[]): Promise<unknown> {
  const layer = await layerOf(store.content, await archive(...entries));
  return store.layers.unpack([layer], { signal }).catch((err: unknown) => err);
}

function unpacking(): string[] {
  return [...store.snapshots.list()].map(({ name }) => name).filter((name) => name.startsWith("unpack/"));
}

const stat = (path: string) => lstatSync(path, { bigint: true });
const invalid = (text: string) => ({ kind: "invalid", message: expect.stringContaining(text) });

describe("what is written", () => {
  test("types, owners, modes, exact times", async () => {
    const mtime = 1_234_567_890_123_456_789n;
    const at = await unpacked(
      await archive(
        { name: "dir/", mode: 0o3775, uid: 10, gid: 20, mtime },
        { name: "dir/file", text: "hello", mode: 0o4711, uid: 1000, gid: 1001, mtime },
        { name: "dir/plain", mode: 0o600 },
        { name: "dir/sub/", mode: 0o700, mtime: -1_500_000_000n },
        { name: "dir/link", linkname: "/etc/passwd", uid: 7, gid: 8, mtime },
        { name: "dir/hard", type: "hardlink", linkname: "dir/file" },
        { name: "null", type: "character", major: 1, minor: 3, mode: 0o666, uid: 3 },
        { name: "loop", type: "block", major: 7, minor: 300 },
        { name: "pipe", type: "fifo", mode: 0o622, mtime },
        "dir/sub/late",
      ),
    );
    expect(stat(join(at, "dir"))).toMatchObject({ mode: 0o43775n, uid: 10n, gid: 20n, mtimeNs: mtime });
    expect(stat(join(at, "dir/file"))).toMatchObject({
      mode: 0o104711n,
      uid: 1000n,
      gid: 1001n,
      mtimeNs: mtime,
      nlink: 2n,
    });
    expect(readFileSync(join(at, "dir/hard"), "utf8")).toBe("hello");
    // Not inherited from the setgid directory.
    expect(stat(join(at, "dir/plain"))).toMatchObject({ mode: 0o100600n, gid: 0n });
    expect(stat(join(at, "dir/sub"))).toMatchObject({ mode: 0o40700n, gid: 0n, mtimeNs: -1_500_000_000n });
    expect(stat(join(at, "dir/link"))).toMatchObject({ uid: 7n, gid: 8n, mtimeNs: mtime });
    expect(readlinkSync(join(at, "dir/link"))).toBe("/etc/passwd");
    expect(stat(join(at, "null"))).toMatchObject({ mode: 0o020666n, rdev: stat("/dev/null").rdev, uid: 3n });
    expect(stat(join(at, "loop")).isBlockDevice()).toBe(true);
    expect(stat(join(at, "pipe"))).toMatchObject({ mode: 0o010622n, mtimeNs: mtime });
  });

  test("the root's own attributes", async () => {
    const at = await unpacked(await archive({ name: "./", mode: 0o711, uid: 4, mtime: 5_000_000_000n }, "f"));
    expect(stat(at)).toMatchObject({ mode: 0o40711n, uid: 4n, mtimeNs: 5_000_000_000n });
  });

  test("extended attributes, except overlayfs' own; what cannot be kept is warned of", async () => {
    const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
    const xattrs = new Map<string, Uint8Array>([
      ["security.capability", capability],
      ["user.x", Buffer.from("y")],
      ["trusted.overlay.redirect", Buffer.from("/etc")],
    ]);
    const at = await unpacked(
      await archive(
        { name: "ping", xattrs, uid: 5 },
        { name: "d/", xattrs: new Map([["trusted.overlay.opaque", Buffer.from("y")]]) },
        {
          name: "link",
          linkname: "x",
          xattrs: new Map([["user.x", Buffer.from("y")]]),
        },
      ),
    );
    expect(readXattr(join(at, "ping"), "security.capability")).toEqual(capability);
    expect(readXattr(join(at, "ping"), "user.x")).toEqual(Buffer.from("y"));
    expect(readXattr(join(at, "ping"), "trusted.overlay.redirect")).toBeUndefined();
    expect(isOpaque(join(at, "d"))).toBe(false);
    expect(store.logged.join("")).toContain("user.x: EPERM");
    expect(await refusal({ name: "f", xattrs: new Map([["security.capability", Buffer.from("x")]]) })).toMatchObject(
      invalid("security.capability"),
    );
  });

  test("long names and such that are not UTF-8", async () => {
    const long = Array.from({ length: 12 }, () => "n".repeat(250)).join("/");
    const odd = Buffer.from([0x64, 0x2f, 0xff, 0xfe]);
    const at = await unpacked(await archive(long, { name: odd, text: "odd" }, { name: "é", linkname: "ü" }));
    expect(existsSync(join(at, long))).toBe(true);
    expect(readFileSync(Buffer.concat([Buffer.from(`${at}/`), odd]), "utf8")).toBe("odd");
    expect(readlinkSync(join(at, "é"))).toBe("ü");
    expect(await refusal(`${long}/${long}`)).toMatchObject(invalid("ENAMETOOLONG"));
  });

  test("later entries replace earlier ones, directories stay", async () => {
    const at = await unpacked(
      await archive(
        { name: "a", text: "old and long" },
        { name: "a", text: "new" },
        "d/kept",
        { name: "d/", mode: 0o700 },
        "e/gone",
        { name: "e", text: "now a file" },
        { name: "f", linkname: "d" },
        { name: "f/", mode: 0o711 },
        "f/x/y",
        "g/x/y",
        { name: "g", linkname: "d" },
        { name: "h", linkname: "d" },
        "h/s/t",
        { name: "h/", mode: 0o755 },
        "h/s/u",
        { name: "i", text: "file" },
        { name: "i", type: "hardlink", linkname: "a" },
      ),
    );
    expect(readFileSync(join(at, "a"), "utf8")).toBe("new");
    expect(stat(join(at, "d")).mode).toBe(0o40700n);
    expect(readdirSync(join(at, "d")).sort()).toEqual(["kept", "s"]);
    expect(stat(join(at, "e")).isFile()).toBe(true);
    expect(stat(join(at, "f")).mode).toBe(0o40711n);
    expect(stat(join(at, "g")).isSymbolicLink()).toBe(true);
    expect(readdirSync(join(at, "h"))).toEqual(["s"]);
    expect(readdirSync(join(at, "h/s"))).toEqual(["u"]);
    expect(stat(join(at, "i")).ino).toBe(stat(join(at, "a")).ino);
  });

  test("sparse files, beyond 8 GiB too", async () => {
    const scratch = join(store.directory, "sparse");
    mkdirSync(scratch);
    const script = `
with open("huge", "wb") as f:
    f.write(b"start"); f.seek(9 * 2**30); f.write(b"end"); f.truncate(10 * 2**30)
open("hole", "wb").truncate(5000)`;
    Bun.spawnSync(["python3", "-c", script], { cwd: scratch });
    for (const format of [["--format=gnu"], ["--format=pax", "--sparse-version=1.0"]]) {
      const made = Bun.spawnSync(["tar", "-S", ...format, "-cf", "-", "huge", "hole"], { cwd: scratch });
      const at = await unpacked(made.stdout);
      expect(stat(join(at, "huge"))).toMatchObject({ size: 10n * 2n ** 30n });
      expect(stat(join(at, "huge")).blocks).toBeLessThan(1000n);
      expect(stat(join(at, "hole"))).toMatchObject({ size: 5000n });
      const tail = Bun.spawnSync(["dd", `if=${at}/huge`, "bs=1M", "skip=9216", "count=1", "status=none"]);
      expect(tail.stdout.subarray(0, 4).toString()).toBe("end\0");
    }
  });

  test("whatever it is compressed with, and refused by name otherwise", async () => {
    const tar = await archive({ name: "f", text: "x".repeat(100_000) });
    for (const pack of [gzipSync, zstdCompressSync]) {
      const layer = await layerOf(store.content, tar, pack(tar));
      const top = await store.layers.unpack([layer], { signal });
      expect(readFileSync(join(store.snapshots.directory(top!), "f")).length).toBe(100_000);
      await store.snapshots.remove(top!);
    }
    const xz = await layerOf(store.content, tar, Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]));
    const refused = await store.layers.unpack([xz], { signal }).catch((err: unknown) => err);
    expect(refused).toMatchObject({ kind: "not-implemented", message: expect.stringContaining("xz") });
  });

  test("an empty layer", async () => {
    expect(readdirSync(await unpacked(await archive()))).toEqual([]);
    expect(await store.layers.unpack([], { signal })).toBeUndefined();
  });
});

describe("whiteouts", () => {
  test("hide what is below, whatever the order, and not what the layer has itself", async () => {
    const at = await unpacked(
      await archive(
        "etc/.wh.gone",
        "etc/.wh.file",
        "etc/file",
        "etc/other",
        "etc/.wh.other",
        ".wh.first",
        "first/new",
        "second/new",
        ".wh.second",
        ".wh.third",
        "third/",
        "opaque/.wh..wh..opq",
        "opaque/x",
        ".wh..wh.plnk/1.2",
        ".wh..wh.aufs",
      ),
    );
    expect(readdirSync(at).sort()).toEqual(["etc", "first", "opaque", "second", "third"]);
    expect(isWhiteout(stat(join(at, "etc/gone")))).toBe(true);
    for (const name of ["file", "other"]) expect(stat(join(at, "etc", name)).isFile()).toBe(true);
    for (const name of ["first", "second", "third", "opaque"]) expect(isOpaque(join(at, name))).toBe(true);
    expect(isOpaque(join(at, "etc"))).toBe(false);
  });

  test("are what overlayfs understands", async () => {
    const bottom = await archive("a/x", "a/y", "b/x", "c/x", "d");
    const top = await archive("a/.wh.x", "b/.wh..wh..opq", "b/z", ".wh.c", ".wh.d");
    expect(await merged([bottom, top], (at) => list(at))).toEqual(["a/", "a/y", "b/", "b/z"]);
  });

  test("an opaque root hides everything", async () => {
    const bottom = await archive("a/x", "b/x", "c");
    const top = await archive(".wh..wh..opq", "b/z", "new");
    expect(await merged([bottom, top], (at) => list(at))).toEqual(["b/", "b/z", "new"]);
  });

  test("of no name, and marks in no directory, are refused", async () => {
    for (const name of [".wh.", "d/.wh..", "d/.wh..."]) expect(await refusal(name)).toMatchObject({ kind: "invalid" });
    expect(await refusal("f", "f/.wh..wh..opq")).toMatchObject({ kind: "invalid" });
  });
});

async function merged<T>(tars: Buffer[], look: (at: string) => T): Promise<T> {
  const layers = await Promise.all(tars.map((tar) => layerOf(store.content, tar)));
  const top = await store.layers.unpack(layers, { signal });
  const [mount] = await store.snapshots.view(top!);
  const at = join(store.directory, `mnt-${crypto.randomUUID()}`);
  mkdirSync(at);
  const mounts = createMounts();
  mounts.mount(mount!, at);
  try {
    return look(at);
  } finally {
    mounts.unmount(at);
  }
}

function list(at: string): string[] {
  const found = Bun.spawnSync(
    ["find", ".", "-mindepth", "1", "(", "-type", "d", "-printf", "%P/\\n", "-o", "-printf", "%P\\n", ")"],
    { cwd: at },
  );
  return found.stdout.toString().trim().split("\n").sort();
}

describe("hostile archives", () => {
  test("names that lead out are refused by name, others are taken from the root", async () => {
    expect(await refusal("../evil")).toMatchObject(invalid('"../evil" leads out of the layer'));
    expect(await refusal("a/../../evil")).toMatchObject(invalid("leads out"));
    expect(await refusal({ name: "h", type: "hardlink", linkname: "../../etc/passwd" })).toMatchObject(
      invalid("leads out"),
    );
    expect(await refusal("..")).toMatchObject({ kind: "invalid" });
    const at = await unpacked(await archive("/abs/file", "a/./b//../c", "./dot", "a/...", "..a/b"));
    expect(readdirSync(at).sort()).toEqual(["..a", "a", "abs", "dot"]);
    expect(readdirSync(join(at, "a")).sort()).toEqual(["...", "c"]);
  });

  test("symlinks of the archive's own do not lead out", async () => {
    const outside = join(store.directory, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "victim"), "untouched");
    const up = "../".repeat(20);
    for (const target of [
      outside,
      `${up}${outside.slice(1)}`,
      `/proc/self/root${outside}`,
      `/proc/self/cwd/${up}${outside.slice(1)}`,
    ]) {
      const tries: (Entry | string)[][] = [
        [
          { name: "l", linkname: target },
          { name: "l/victim", text: "evil" },
        ],
        [
          { name: "l", linkname: target },
          { name: "l/new", text: "evil" },
        ],
        [{ name: "l", linkname: target }, "l/dir/"],
        [{ name: "l", linkname: target }, "l/.wh.victim"],
        [{ name: "l", linkname: target }, "l/.wh..wh..opq"],
        [
          { name: "l", linkname: target },
          { name: "l/s", linkname: "x" },
        ],
        [
          { name: "l", linkname: target },
          { name: "h", type: "hardlink", linkname: "l/victim" },
        ],
        [
          { name: "l", linkname: `${target}/victim` },
          { name: "l", text: "evil" },
        ],
        [
          { name: "l", linkname: target },
          { name: "m", type: "hardlink", linkname: "l" },
          { name: "m/new", text: "evil" },
        ],
        [
          { name: "l", linkname: target },
          { name: "l/", mode: 0o777, uid: 99 },
        ],
      ];
      for (const entries of tries) await refusal(...entries);
    }
    expect(readdirSync(outside)).toEqual(["victim"]);
    expect(readFileSync(join(outside, "victim"), "utf8")).toBe("untouched");
    expect(stat(outside)).toMatchObject({ uid: 0n, mode: 0o40755n });
    expect(stat(join(outside, "victim")).nlink).toBe(1n);
  });

  test("an absolute symlink leads from the layer's root", async () => {
    const at = await unpacked(await archive("usr/lib/", { name: "lib", linkname: "/usr/lib" }, "lib/x.so"));
    expect(readdirSync(join(at, "usr/lib"))).toEqual(["x.so"]);
  });

  test("what makes no sense", async () => {
    expect(await refusal({ name: "", text: "x" })).toMatchObject(invalid("the root is not a directory"));
    expect(await refusal("f", "f/below")).toMatchObject(invalid("ENOTDIR"));
    expect(await refusal({ name: "h", type: "hardlink", linkname: "none" })).toMatchObject(
      invalid('hard link to "none"'),
    );
    expect(await refusal({ name: "h", type: "hardlink", linkname: "h" })).toMatchObject(invalid("hard link"));
    expect(await refusal(".wh.x", { name: "h", type: "hardlink", linkname: "x" })).toMatchObject(invalid("hard link"));
    expect(await refusal("d/", { name: "h", type: "hardlink", linkname: "d" })).toMatchObject(invalid("EPERM"));
    expect(await refusal({ name: "s", linkname: "" })).toMatchObject({ kind: "invalid" });
    expect(await refusal({ name: "s", linkname: "s" }, "s/x")).toMatchObject({ kind: "invalid" });
    const layer = await layerOf(store.content, Buffer.from("no archive at all".repeat(100)));
    const garbage = await store.layers.unpack([layer], { signal }).catch((err: unknown) => err);
    expect(garbage).toMatchObject(invalid("Bad tar archive"));
    expect(unpacking()).toEqual([]);
  });

  test("another diff id is refused and nothing is left", async () => {
    const tar = await archive("f");
    const layer = { ...(await layerOf(store.content, tar)), diffId: digestOf("something else") };
    const refused = await store.layers.unpack([layer], { signal }).catch((err: unknown) => err);
    expect(refused).toMatchObject(invalid(`its content has the digest ${digestOf(tar)}`));
    expect(unpacking()).toEqual([]);
    expect(store.layers.chain(layer.diffId)).toBeUndefined();
  });

  test("a blob that is not there", async () => {
    const layer: LayerSource = { diffId: digestOf("a"), blob: { mediaType: "", digest: digestOf("b"), size: 1 } };
    const refused = await store.layers.unpack([layer], { signal }).catch((err: unknown) => err);
    expect(refused).toMatchObject({ kind: "not-found" });
    expect(unpacking()).toEqual([]);
  });
});

describe("chains", () => {
  test("directories without an entry look like those below", async () => {
    const mtime = 1_111_111_111_000_000_000n;
    const xattrs = new Map([["user.kept", Buffer.from("v")]]);
    const bottom = await archive(
      { name: "./", mode: 0o555, mtime },
      { name: "tmp/", mode: 0o1777, uid: 1, gid: 2, mtime, xattrs },
      { name: "gone/", mode: 0o700 },
      { name: "hidden/sub/", mode: 0o700 },
      { name: "link", linkname: "tmp" },
    );
    const middle = await archive("hidden/.wh..wh..opq", ".wh.gone", "unrelated");
    const top = await archive("tmp/x", "gone/x", "hidden/sub/x", "link/x", "new/x");
    const at = await unpacked(bottom, middle, top);
    expect(stat(at)).toMatchObject({ mode: 0o40555n, mtimeNs: mtime });
    expect(stat(join(at, "tmp"))).toMatchObject({ mode: 0o41777n, uid: 1n, gid: 2n, mtimeNs: mtime });
    expect(readXattr(join(at, "tmp"), "user.kept")).toEqual(Buffer.from("v"));
    for (const name of ["gone", "hidden/sub", "link", "new"])
      expect(stat(join(at, name))).toMatchObject({ mode: 0o40755n, uid: 0n });
  });

  test("128 layers, all at once", async () => {
    const layers: LayerSource[] = [];
    for (let nr = 0; nr < 128; nr++)
      layers.push(await layerOf(store.content, await archive({ name: "shared", text: `${nr}` }, `f${nr}`)));
    const told: string[] = [];
    const top = await store.layers.unpack(layers, { signal, onUnpacked: (diffId) => told.push(diffId) });
    const chains = chainIds(layers.map((layer) => layer.diffId));
    expect(told).toEqual(layers.map((layer) => layer.diffId));
    expect(top).toBe(`layer/${chains.at(-1)}`);
    for (const [at, chain] of chains.entries()) {
      const info = store.snapshots.info(store.layers.chain(chain)!);
      expect(info).toMatchObject({ state: "committed", ...(at > 0 && { parent: `layer/${chains[at - 1]}` }) });
    }
    const [mount] = await store.snapshots.view(top!);
    const at = join(store.directory, "many");
    mkdirSync(at);
    createMounts().mount(mount!, at);
    expect(readFileSync(join(at, "shared"), "utf8")).toBe("127");
    expect(readdirSync(at).length).toBe(129);
    createMounts().unmount(at);
    expect(unpacking()).toEqual([]);
  }, 60_000);

  test("what is there is not unpacked again, and may be anybody's snapshot", async () => {
    const layers = [
      await layerOf(store.content, await archive("one")),
      await layerOf(store.content, await archive("two")),
    ];
    const [first] = chainIds(layers.map((layer) => layer.diffId));
    await store.snapshots.prepare("build/key");
    await store.snapshots.commit("build/result", "build/key");
    store.layers.recordChain(first!, "build/result");
    await store.content.remove(layers[0]!.blob.digest);
    const told: string[] = [];
    const top = await store.layers.unpack(layers, { signal, onUnpacked: (diffId) => told.push(diffId) });
    expect(store.snapshots.info(top!)?.parent).toBe("build/result");
    expect(told).toEqual(layers.map((layer) => layer.diffId));
    await store.content.remove(layers[1]!.blob.digest);
    expect(await store.layers.unpack(layers, { signal })).toBe(top!);
    await store.snapshots.remove(top!);
    expect(store.layers.chain(chainIds(layers.map((layer) => layer.diffId))[1]!)).toBeUndefined();
  });

  test("a committed snapshot without its chain's row is found again", async () => {
    const layer = await layerOf(store.content, await archive("recovered"));
    const top = await store.layers.unpack([layer], { signal });
    store.db.write((tx) => tx.run("DELETE FROM chains WHERE chain_id = ?", [layer.diffId]));
    expect(store.layers.chain(layer.diffId)).toBeUndefined();
    expect(await store.layers.unpack([layer], { signal })).toBe(top!);
    expect(store.layers.chain(layer.diffId)).toBe(top!);
  });

  test("two who want the same share the work, whoever gives up", async () => {
    const layers = [
      await layerOf(store.content, await archive({ name: "big", text: "x".repeat(5_000_000) })),
      await layerOf(store.content, await archive("small")),
    ];
    const abort = new AbortController();
    const first = store.layers.unpack(layers, { signal: abort.signal }).catch((err: unknown) => err);
    const others = [1, 2, 3].map(() => store.layers.unpack(layers, { signal }));
    abort.abort(new EngineError("canceled", "gone"));
    expect(await first).toMatchObject({ kind: "canceled", message: "gone" });
    const names = await Promise.all(others);
    expect(new Set(names).size).toBe(1);
    expect(unpacking()).toEqual([]);
  });

  test("one bad layer fails all, and the good ones below stay", async () => {
    const good = await layerOf(store.content, await archive("good"));
    const bad = await layerOf(store.content, await archive("../bad"));
    const above = await layerOf(store.content, await archive("above"));
    const failed = await store.layers.unpack([good, bad, above], { signal }).catch((err: unknown) => err);
    expect(failed).toMatchObject(invalid("../bad"));
    expect(unpacking()).toEqual([]);
    expect(store.layers.chain(chainIds([good.diffId, bad.diffId])[1]!)).toBeUndefined();
  });

  test("what a killed engine left is swept away", async () => {
    await store.snapshots.prepare("unpack/left");
    await store.snapshots.prepare("container/other");
    const left = store.snapshots.directory("unpack/left");
    await openLayers(store).sweep();
    expect(unpacking()).toEqual([]);
    expect(existsSync(left)).toBe(false);
    expect(store.snapshots.info("container/other")).toBeDefined();
    await store.snapshots.remove("container/other");
  });

  test("an aborted signal starts nothing", async () => {
    const layer = await layerOf(store.content, await archive("never"));
    const refused = await store.layers
      .unpack([layer], { signal: AbortSignal.abort() })
      .catch((err: unknown) => (err as Error).name);
    expect(refused).toBe("AbortError");
  });
});

describe("while it downloads", () => {
  async function growing(name: string) {
    const tar = await archive(
      { name: `${name}/a`, text: "a".repeat(300_000) },
      { name: `${name}/b`, text: "b".repeat(300_000) },
    );
    const path = join(store.directory, name);
    writeFileSync(path, "");
    const state = new Int32Array(new SharedArrayBuffer(8));
    const ready = Promise.withResolvers<void>();
    const grow = (bytes: Uint8Array, status = 0) => {
      appendFileSync(path, bytes);
      Atomics.store(state, 1, status);
      Atomics.add(state, 0, 1);
      Atomics.notify(state, 0);
    };
    const blob = await layerOf(store.content, tar);
    const layer: LayerSource = { ...blob, ready: ready.promise, partial: { path, state: state.buffer } };
    return { tar, path, grow, ready, layer };
  }

  test("a file is followed as it grows", async () => {
    const { tar, grow, ready, layer } = await growing("follow");
    const unpacking = store.layers.unpack([layer], { signal });
    for (let at = 0; at < tar.length; at += 50_000) {
      grow(tar.subarray(at, at + 50_000));
      await Bun.sleep(1);
    }
    grow(Buffer.alloc(0), 1);
    ready.resolve();
    const top = await unpacking;
    expect(readFileSync(join(store.snapshots.directory(top!), "follow/b"), "latin1")).toBe("b".repeat(300_000));
  });

  test("others are unpacked meanwhile, however many wait", async () => {
    const many = await Promise.all(Array.from({ length: 4 }, (_, nr) => growing(`wait${nr}`)));
    const waiting = many.map(({ layer }) => store.layers.unpack([layer], { signal }));
    const top = await store.layers.unpack([await layerOf(store.content, await archive("meanwhile"))], { signal });
    expect(top).toBeDefined();
    for (const { grow, tar, ready } of many) {
      grow(tar, 1);
      ready.resolve();
    }
    await Promise.all(waiting);
  });

  test("a failed download fails it with its own error", async () => {
    const { tar, grow, ready, layer } = await growing("fail");
    const failing = store.layers.unpack([layer], { signal }).catch((err: unknown) => err);
    grow(tar.subarray(0, 1000), 2);
    ready.reject(new EngineError("unavailable", "the registry hung up"));
    expect(await failing).toMatchObject({ kind: "unavailable", message: "the registry hung up" });
    expect(unpacking()).toEqual([]);
  });

  test("a failed download stops it, also when the file never says so", async () => {
    const { ready, layer } = await growing("silent");
    const failing = store.layers.unpack([layer], { signal }).catch((err: unknown) => err);
    ready.reject(new EngineError("unauthorized", "denied"));
    expect(await failing).toMatchObject({ kind: "unauthorized", message: "denied" });
    expect(unpacking()).toEqual([]);
  });

  test("an abort ends the wait", async () => {
    const { layer } = await growing("abort");
    const abort = new AbortController();
    const waiting = store.layers
      .unpack([{ ...layer, ready: Promise.resolve() }], { signal: abort.signal })
      .catch((err: unknown) => err);
    abort.abort(new EngineError("canceled", "gone"));
    expect(await waiting).toMatchObject({ kind: "canceled" });
    expect(unpacking()).toEqual([]);
  });

  test("a partial file that got its final name before is read there", async () => {
    const { path, ready, layer } = await growing("renamed");
    await store.workers.run(removeTree, { path });
    ready.resolve();
    const top = await store.layers.unpack([layer], { signal });
    expect(readdirSync(join(store.snapshots.directory(top!), "renamed")).sort()).toEqual(["a", "b"]);
  });
});
