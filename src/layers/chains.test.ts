import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { createMounts, readXattr, removeTree } from "../host/mod.ts";
import { chainIds, digestOf } from "../oci/mod.ts";
import type { LayerSource } from "./layers.ts";
import { openLayers } from "./mod.ts";
import { archive, layerOf, neverAborted, openStore, type Store } from "./testing/store.ts";

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

function unpacking(): string[] {
  return [...store.snapshots.list()].map(({ name }) => name).filter((name) => name.startsWith("unpack/"));
}

const stat = (path: string) => lstatSync(path, { bigint: true });
const invalid = (text: string) => ({ kind: "invalid", message: expect.stringContaining(text) });

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
    expect(stat(at)).toMatchObject({ mode: 0o40755n, mtimeNs: mtime });
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
    store.layers.recordChain(digestOf("gone"), "layer/gone");
    store.layers.recordChain(digestOf("kept"), "container/other");
    await openLayers(store).sweep();
    const chains = store.db.read((q) =>
      q.all("SELECT snapshot FROM chains WHERE snapshot IN ('layer/gone', 'container/other')"),
    );
    expect(chains).toEqual([{ snapshot: "container/other" }]);
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
