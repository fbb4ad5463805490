import { describe, expect, test } from "bun:test";
import { kindOf, messageOf } from "../../errors/mod.ts";
import { type Descriptor, digestOf, mediaTypes } from "../../oci/mod.ts";
import { fromBuffer } from "../../stream/mod.ts";
import { decodeCache } from "./decode.ts";
import { onTop } from "./format.ts";
import { readCache } from "./read.ts";

const blobs: Descriptor[] = ["a", "b", "c"].map((name) => ({
  ...{ mediaType: mediaTypes.layer, digest: digestOf(name), size: 10 },
  annotations: { "berth.layer.size": "5", "berth.layer.bytes": "-1" },
}));
const [a, b] = blobs as [Descriptor, Descriptor];
const key = digestOf("key");
const decoded = (json: unknown, given = blobs) => decodeCache(Buffer.from(JSON.stringify(json)), given);
const refused = (body: () => unknown): string => {
  try {
    body();
    return "taken";
  } catch (err) {
    return `${kindOf(err)}: ${messageOf(err)}`;
  }
};

describe("a cache's records", () => {
  test("with their layers, in any order; a parent that is left out is the first", () => {
    const layers = [{ blob: a.digest, parent: 1 }, { blob: b.digest, parent: -1 }, { blob: digestOf("c") }];
    const records = [
      { digest: key, layers: [{ layer: 2, createdAt: "2024-01-01T00:00:00Z" }] },
      { digest: digestOf("none"), created: "2024-01-01T00:00:00Z" },
    ];
    const { steps, whole } = decoded({ layers, records, more: "of somebody's" });
    const below = onTop(b.digest, a.digest);
    expect(whole).toBe(false);
    expect(steps.get(key)).toMatchObject({
      created: 1_704_067_200_000,
      layer: { diffId: digestOf("c"), size: 5, below, chain: onTop(below, digestOf("c")) },
    });
    expect(steps.get(key)?.layer?.bytes).toBeUndefined();
    expect(steps.get(digestOf("none"))).toEqual({ created: 1_704_067_200_000 });
  });

  test("that are not ours or not whole are passed over", () => {
    const layers = [
      { blob: digestOf("gone"), parent: -1 },
      { blob: a.digest, parent: 0 },
    ];
    const result = [{ layer: 1 }];
    const records = [
      { digest: key, layers: result },
      { digest: digestOf("1"), layers: [{ layer: 0 }], inputs: [[{ link: 0 }]] },
      { digest: digestOf("2"), layers: [{ layer: 7 }] },
      { digest: digestOf("3"), layers: "x" },
      { digest: digestOf("4") },
      { digest: "x", layers: result },
      { layers: result },
    ];
    expect(decoded({ layers, records }).steps.size).toBe(0);
    expect(decoded({}).steps.size).toBe(0);
    const foreign = [
      { ...a, mediaType: "application/x-other" },
      { ...b, annotations: { "containerd.io/uncompressed": "x" } },
    ];
    const alone = [
      { blob: a.digest, parent: -1 },
      { blob: b.digest, parent: -1 },
    ];
    expect(decoded({ layers: alone, records: [{ digest: key, layers: [{ layer: 0 }] }] }, foreign).steps.size).toBe(0);
    expect(decoded({ layers: alone, records: [{ digest: key, layers: [{ layer: 1 }] }] }, foreign).steps.size).toBe(0);
  });

  test("hostile ones end in an error", () => {
    const round = Array.from({ length: 3 }, (_, at) => ({ blob: a.digest, parent: (at + 1) % 3 }));
    expect(refused(() => decoded({ layers: round }))).toStartWith("invalid: cache: its layers go round in a circle");
    expect(refused(() => decoded({ layers: [{ blob: a.digest, parent: 0 }] }))).toContain("circle");
    const deep = Array.from({ length: 2000 }, (_, at) => ({ blob: a.digest, parent: at === 1999 ? -1 : at + 1 }));
    expect(refused(() => decoded({ layers: deep }))).toContain("1000 deep");
    for (const parent of [5, -2, 0.5, "0", null]) {
      expect(refused(() => decoded({ layers: [{ blob: a.digest, parent }] }))).toContain("which is none");
    }
    expect(refused(() => decoded({ layers: Array(10_001).fill({}) }))).toContain("10001 layers");
    expect(refused(() => decoded({ records: Array(100_001).fill({}) }))).toContain("100001 records");
    for (const bad of [[], null, "x", 1]) expect(refused(() => decoded(bad))).toContain("no object");
    for (const bad of [{ layers: 1 }, { records: [1] }, { layers: [null] }])
      expect(refused(() => decoded(bad))).toContain("no list of objects");
    expect(refused(() => decodeCache(Buffer.from("{"), []))).toContain("no JSON");
    expect(refused(() => decodeCache(Buffer.alloc(9_000_000), []))).toContain("9000000 bytes");
  });
});

describe("what a name stands for", () => {
  const given = new Map<string, Uint8Array>();
  const add = (json: unknown, mediaType: string): Descriptor => {
    const bytes = Buffer.from(typeof json === "string" ? json : JSON.stringify(json));
    given.set(digestOf(bytes), bytes);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const read = (root: Descriptor) =>
    readCache(
      { root: async () => root, read: ({ digest }) => fromBuffer(given.get(digest) ?? "") },
      { os: "linux", architecture: "amd64" },
    ).then(
      ({ steps }) => `${steps.size} steps`,
      (err) => `${kindOf(err)}: ${messageOf(err)}`,
    );
  const config = add({ records: [{ digest: key, created: "x" }] }, "application/vnd.buildkit.cacheconfig.v0");
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [] };

  test("a manifest or an index with a cache's config, told by what is in it where nothing else says", async () => {
    expect(await read(add(manifest, mediaTypes.manifest))).toBe("1 steps");
    expect(await read(add(manifest, ""))).toBe("1 steps");
    const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [a, config] };
    expect(await read(add(index, mediaTypes.index))).toBe("1 steps");
    expect(await read(add(index, ""))).toBe("1 steps");
  });

  test("an image of an index, by its platform", async () => {
    const image = add(
      { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] } },
      mediaTypes.config,
    );
    const one = {
      ...add({ ...manifest, config: image }, mediaTypes.manifest),
      platform: { os: "linux", architecture: "amd64" },
    };
    const index = (manifests: Descriptor[]) => add({ schemaVersion: 2, manifests }, mediaTypes.index);
    expect(await read(index([one]))).toBe("0 steps");
    expect(await read(index([{ ...one, platform: { os: "plan9", architecture: "x" } }]))).toContain("not-found: ");
  });

  test("what is neither, is another than its digest says, too large, or never ends", async () => {
    expect(await read(add("[", ""))).toStartWith("invalid: ");
    expect(await read({ ...add(manifest, mediaTypes.manifest), digest: digestOf("other") })).toContain(
      "verification failed",
    );
    expect(await read({ mediaType: mediaTypes.manifest, digest: digestOf("x"), size: 5_000_000 })).toContain("at most");
    const huge = { ...manifest, config: { ...config, size: 9_000_000 } };
    expect(await read(add(huge, mediaTypes.manifest))).toContain("at most 8388608");
    const many = Buffer.alloc(5 * 1024 * 1024);
    given.set(digestOf(many), many);
    expect(await read({ mediaType: "", digest: digestOf(many), size: 10 })).toContain("More than the");
    let index: Descriptor = { ...a, mediaType: mediaTypes.index };
    for (let depth = 0; depth < 6; depth++) index = add({ schemaVersion: 2, manifests: [index] }, mediaTypes.index);
    expect(await read(index)).toContain("indices in each other");
    expect(
      await read(add({ ...manifest, config: { ...config, mediaType: "application/x" } }, mediaTypes.manifest)),
    ).toContain("unsupported media type");
  });
});
