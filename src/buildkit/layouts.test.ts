import { expect, test } from "bun:test";
import type { ClientStore } from "../builder/mod.ts";
import { messageOf } from "../errors/mod.ts";
import { type Descriptor, type Digest, digestOf, mediaTypes } from "../oci/mod.ts";
import { readTar, writeTar } from "../stream/mod.ts";
import { layoutArchive, writeLayout } from "./layouts.ts";

const { signal } = new AbortController();

/** A client's store in memory. */
function memory() {
  const blobs = new Map<Digest, Uint8Array>();
  const store: ClientStore = {
    size: async (digest) => blobs.get(digest)?.length,
    async *read({ digest }) {
      yield blobs.get(digest) ?? new Uint8Array();
    },
    write: async ({ digest }, bytes) => {
      const whole = Buffer.concat(await Array.fromAsync(bytes));
      expect(digestOf(whole)).toBe(digest);
      blobs.set(digest, whole);
    },
  };
  const put = (value: unknown, mediaType: string): Descriptor => {
    const bytes = Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
    blobs.set(digestOf(bytes), bytes);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const image = (architecture: string) => {
    const config = put({ architecture, os: "linux" }, mediaTypes.config);
    const layers = [put("same", mediaTypes.layer), put("same", mediaTypes.layer)];
    const manifest = put({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers }, mediaTypes.manifest);
    return { ...manifest, platform: { os: "linux", architecture } };
  };
  return { blobs, store, put, image };
}

const archived = (store: ClientStore, digest: Digest, platform?: string) =>
  layoutArchive(store, { digest, platform, signal });

test("an image of a store is an archive, of an index the one of the platform; written back it is the same", async () => {
  const from = memory();
  const [amd64, arm64] = [from.image("amd64"), from.image("arm64")];
  const index = from.put(
    { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [amd64, arm64] },
    mediaTypes.index,
  );
  const to = memory();
  const listed = await writeLayout(to.store, await archived(from.store, index.digest, "linux/arm64"), signal);
  expect(listed.digest).toBe(arm64.digest);
  expect([...to.blobs.keys()].sort()).toEqual([...from.blobs.keys()].filter((digest) => to.blobs.has(digest)).sort());
  expect(to.blobs.size).toBe(3);
  const names = await Array.fromAsync(readTar(await archived(from.store, amd64.digest)), ({ header }) =>
    Buffer.from(header.name).toString(),
  );
  expect(names.filter((name) => !name.startsWith("blobs/sha256/"))).toEqual(["index.json", "oci-layout"]);
  expect(names).toHaveLength(5);
});

test("what is not there, is for another platform, or is no image", async () => {
  const { store, image, put } = memory();
  const amd64 = image("amd64");
  const index = put({ schemaVersion: 2, manifests: [amd64] }, mediaTypes.index);
  const deep = [1, 2, 3, 4].reduce((below) => {
    return put({ schemaVersion: 2, manifests: [{ ...below, platform: amd64.platform }] }, mediaTypes.index);
  }, index);
  const broken = put("no JSON", mediaTypes.manifest);
  for (const [digest, platform, message] of [
    [digestOf("nothing"), undefined, "the client does not have sha256:"],
    [index.digest, "linux/s390x", "has no image for this platform"],
    [deep.digest, "linux/amd64", "has indices in indices"],
    [broken.digest, undefined, "the client's image is no JSON"],
  ] as const) {
    expect(await archived(store, digest, platform).then(() => "", messageOf)).toContain(message);
  }
  expect(await writeLayout(store, writeTar([]), signal).then(() => "", messageOf)).toBe("an archive without an image");
});
