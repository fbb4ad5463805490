import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { createMounts, readXattr } from "../host/mod.ts";
import { digestOf } from "../oci/mod.ts";
import { isOpaque, isWhiteout } from "./jobs/overlay.ts";
import type { LayerSource } from "./layers.ts";
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
    const own = { name: "./", mode: 0o711, uid: 4, mtime: 5_000_000_000n };
    const at = await unpacked(await archive("below"), await archive(own, "f"));
    expect(stat(at)).toMatchObject({ mode: 0o40711n, uid: 4n, mtimeNs: 5_000_000_000n });
    // Not of the lowest.
    expect(stat(await unpacked(await archive(own, "g")))).toMatchObject({ mode: 0o40755n, uid: 0n });
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

describe("verify", () => {
  test("a blob must decompress to its layer", async () => {
    const tar = await archive({ name: "x", text: "y" });
    await store.layers.verify(await layerOf(store.content, tar));
    for (const pack of [gzipSync, zstdCompressSync]) {
      await store.layers.verify(await layerOf(store.content, tar, pack(tar)));
      const wrong = await layerOf(store.content, tar, pack(await archive({ name: "x", text: "z" })));
      await expect(store.layers.verify(wrong)).rejects.toMatchObject(invalid("its content has the digest"));
      const short = await layerOf(store.content, tar, pack(tar).subarray(0, -9));
      await expect(store.layers.verify(short)).rejects.toMatchObject(invalid(`Verify layer ${short.diffId}`));
    }
  });
});
