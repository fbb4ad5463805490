import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { kindOf } from "../errors/mod.ts";
import { digestOf, hexOf, mediaTypes } from "../oci/mod.ts";
import { collect, fromBuffer, readTar } from "../stream/mod.ts";
import type { ProgressMessage } from "../wire/mod.ts";
import { setUp } from "./testing/setup.ts";
import { type TarFile, tarOf } from "./testing/tar.ts";
import { createTransfer } from "./transfer.ts";

async function setUpTransfer() {
  const t = await setUp();
  const transfer = createTransfer({ images: t.images, registry: {} as never });
  const said: ProgressMessage[] = [];
  const options = { signal: new AbortController().signal, progress: (message: ProgressMessage) => said.push(message) };
  return { ...t, transfer, said, options, [Symbol.dispose]: () => t[Symbol.dispose]() };
}

const layers = ["layer one", "layer two"];
const config = JSON.stringify({
  architecture: "amd64",
  os: "linux",
  config: { Cmd: ["sh"] },
  rootfs: { type: "layers", diff_ids: layers.map((text) => digestOf(text)) },
});
const id = digestOf(config);

function dockerArchive(names: string[] | null = ["app:1"], blobs: (string | Uint8Array)[] = layers): TarFile[] {
  return [
    { name: "dir", type: "directory" },
    { name: `${hexOf(id)}.json`, content: config },
    { name: "a/layer.tar", content: blobs[0] ?? "" },
    { name: "b/layer.tar", content: blobs[1] ?? "" },
    {
      name: "manifest.json",
      content: JSON.stringify([
        { Config: `${hexOf(id)}.json`, RepoTags: names, Layers: ["a/layer.tar", "b/layer.tar"] },
      ]),
    },
  ];
}

function ociArchive(annotations?: Record<string, string>, gzip = true): TarFile[] {
  const blobs = layers.map((text) => (gzip ? gzipSync(text) : Buffer.from(text)));
  const blob = (content: string | Uint8Array) => ({ name: `blobs/sha256/${hexOf(digestOf(content))}`, content });
  const describe = (content: string | Uint8Array, mediaType: string) => ({
    mediaType,
    digest: digestOf(content),
    size: Buffer.byteLength(content),
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: describe(config, mediaTypes.config),
    layers: blobs.map((bytes) => describe(bytes, gzip ? mediaTypes.layerGzip : mediaTypes.layer)),
  });
  const entry = { ...describe(manifest, mediaTypes.manifest), ...(annotations && { annotations }) };
  return [
    { name: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
    { name: "index.json", content: JSON.stringify({ schemaVersion: 2, manifests: [entry] }) },
    ...[manifest, config, ...blobs].map(blob),
  ];
}

describe("load", () => {
  test("indexes that name one another over and over are each read once", async () => {
    using t = await setUpTransfer();
    const files = ociArchive();
    let entries = JSON.parse(String(files.find(({ name }) => name === "index.json")?.content)).manifests;
    for (let depth = 0; depth < 4; depth++) {
      const content = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: entries });
      const digest = digestOf(content);
      files.push({ name: `blobs/sha256/${hexOf(digest)}`, content });
      entries = Array(100).fill({ mediaType: mediaTypes.index, digest, size: content.length });
    }
    const index = { name: "index.json", content: JSON.stringify({ schemaVersion: 2, manifests: entries }) };
    const item = { Config: `blobs/sha256/${hexOf(id)}`, RepoTags: ["deep:1"], Layers: [] };
    const rest = files.filter(({ name }) => name !== "index.json");
    // Docker's list makes all platforms of the indexes wanted: a hundred million ways to the one image.
    const tar = await tarOf([...rest, index, { name: "manifest.json", content: JSON.stringify([item]) }]);
    await expect(t.transfer.load(fromBuffer(tar), t.options)).rejects.toThrow("layers");
  });

  const variants: [string, (tar: Buffer) => Uint8Array][] = [
    ["plain", (tar) => tar],
    ["gzip", (tar) => gzipSync(tar)],
    ["zstd", (tar) => zstdCompressSync(tar)],
  ];
  for (const [name, pack] of variants) {
    test(`a docker archive, ${name}, entries in any order`, async () => {
      using t = await setUpTransfer();
      const [loaded] = await t.transfer.load(fromBuffer(pack(await tarOf(dockerArchive().reverse()))), t.options);
      expect(loaded?.id).toBe(id);
      expect(loaded?.names).toEqual(["docker.io/library/app:1"]);
      expect(t.said.at(-1)).toEqual({ stream: "Loaded image: app:1\n" });
      expect(t.said.filter((line) => line.status === "Loading layer")).toHaveLength(2);
      expect(t.actions()).toEqual([`load ${id}`]);
      expect([...t.content.list()]).toHaveLength(4);
    });
  }
  test("layers compressed each in its own way, one by a link, no name", async () => {
    using t = await setUpTransfer();
    const files = dockerArchive(null, [gzipSync(layers[0] ?? ""), ""]).filter((file) => file.name !== "b/layer.tar");
    files.unshift({ name: "b/layer.tar", type: "symlink", link: "../c/real.tar" });
    files.push({ name: "c/real.tar", content: zstdCompressSync(layers[1] ?? "") });
    await t.transfer.load(fromBuffer(await tarOf(files)), { ...t.options, quiet: true });
    expect(t.said).toEqual([{ stream: `Loaded image ID: ${id}\n` }]);
  });
  test("an OCI layout with names; its manifest stays as it is", async () => {
    using t = await setUpTransfer();
    const files = ociArchive({ "io.containerd.image.name": "docker.io/library/app:2" });
    await t.transfer.load(fromBuffer(await tarOf(files)), t.options);
    expect(t.images.get("app:2").id).toBe(id);
    const digest = digestOf(files[2]?.content ?? "");
    expect(t.content.info(digest)).toBeDefined();
  });
  test("a name that moves is told of", async () => {
    using t = await setUpTransfer();
    const old = await t.make({ names: ["app:1"] });
    await t.transfer.load(fromBuffer(await tarOf(dockerArchive())), t.options);
    expect(t.said[0]?.stream).toBe(
      `The image app:1 already exists, renaming the old one with ID ${old.id} to empty string\n`,
    );
  });

  const item = (extra: object) => [{ name: "manifest.json", content: JSON.stringify([extra]) }];
  const replaced = (name: string, content: string | Uint8Array) =>
    dockerArchive().map((file) => (file.name === name ? { ...file, content } : file));
  const bad: [string, () => Promise<Uint8Array>, RegExp][] = [
    ["garbage", async () => Buffer.from("this is no tar".repeat(100)), /./],
    ["nothing", async () => Buffer.alloc(0), /neither manifest.json nor index.json|./],
    ["a truncated archive", async () => (await tarOf(dockerArchive())).subarray(0, 3000), /./],
    [
      "an archive without a manifest",
      () => tarOf([{ name: "x", content: "y" }]),
      /neither manifest.json nor index.json/,
    ],
    ["the format before 1.10", () => tarOf([{ name: "repositories", content: "{}" }]), /before Docker 1.10/],
    ["invalid JSON", () => tarOf([{ name: "manifest.json", content: "{" }]), /manifest.json: invalid JSON/],
    ["JSON of another shape", () => tarOf([{ name: "manifest.json", content: "{}" }]), /manifest.json: an array/],
    ["no config", () => tarOf(item({})), /manifest.json\[0\].Config: a path is expected/],
    [
      "a missing file",
      () => tarOf(item({ Config: "x.json" })),
      /manifest.json\[0\].Config: "x.json" is not in the archive/,
    ],
    ["a path that leads out", () => tarOf([{ name: "../x", content: "y" }]), /"..\/x" leads out of the archive/],
    ["a link that leads out", () => tarOf([{ name: "a", type: "symlink", link: "../../etc/passwd" }]), /leads out/],
    [
      "a link to itself",
      async () => tarOf([{ name: "c", type: "symlink", link: "c" }, ...item({ Config: "c" })]),
      /"c" is not in/,
    ],
    ["a device", () => tarOf([{ name: "dev", type: "fifo" }]), /"dev" is a fifo/],
    [
      "a bad name",
      () => tarOf(dockerArchive(["UPPER:1"])),
      /manifest.json\[0\].RepoTags\[0\]: invalid reference format/,
    ],
    ["another layer than the config says", () => tarOf(replaced("a/layer.tar", "evil")), /diff id/],
    ["a config that is none", () => tarOf(replaced(`${hexOf(id)}.json`, "[]")), /config: an object is expected/],
    [
      "xz",
      () => tarOf(replaced("a/layer.tar", Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0]))),
      /compressed with xz are not supported/,
    ],
    [
      "a blob under a wrong digest",
      () => tarOf(ociArchive().map((file) => (file.name.startsWith("blobs") ? { ...file, content: "x" } : file))),
      /blobs\/sha256\/[0-9a-f]+: Content has digest/,
    ],
    ["a missing blob", async () => tarOf(ociArchive().slice(0, 4)), /blobs\/sha256\/[0-9a-f]+ is not in the archive/],
  ];
  for (const [name, archive, message] of bad) {
    test(`refuses ${name}, and leaves nothing`, async () => {
      using t = await setUpTransfer();
      const err = await t.transfer.load(fromBuffer(await archive()), t.options).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect((err as Error)?.message).toMatch(message);
      expect(["invalid", "not-implemented"]).toContain(kindOf(err));
      expect([...t.content.list()]).toEqual([]);
      expect(await t.images.list({ filter: new Map(), all: true, sharedSize: false })).toEqual([]);
    });
  }
  test("an abort leaves nothing", async () => {
    using t = await setUpTransfer();
    const abort = new AbortController();
    const tar = await tarOf(dockerArchive());
    async function* slow() {
      yield tar.subarray(0, 2000);
      abort.abort();
      yield tar.subarray(2000);
    }
    expect(t.transfer.load(slow(), { ...t.options, signal: abort.signal })).rejects.toThrow("abort");
    expect([...t.content.list()]).toEqual([]);
  });
});

describe("save", () => {
  const read = async (bytes: AsyncIterable<Uint8Array>) => Buffer.concat(await Array.fromAsync(bytes));
  const signal = new AbortController().signal;
  test("both layouts, each blob once, the same bytes each time; loads again", async () => {
    using t = await setUpTransfer();
    const a = await t.make({ layers: ["base", "a"], names: ["app:1", "app:2"] });
    const b = await t.make({ layers: ["base", "b"], names: ["other"] });
    const tar = await read(t.transfer.save(["app", "other"], { signal }));
    expect(await read(t.transfer.save(["app", "other"], { signal }))).toEqual(tar);
    const files = new Map<string, string>();
    for await (const entry of readTar(fromBuffer(tar))) {
      expect(files.has(String(entry.header.name))).toBe(false);
      files.set(String(Buffer.from(entry.header.name)), String(await read(entry.content)));
    }
    expect(JSON.parse(files.get("manifest.json") ?? "").map((item: { RepoTags: string[] }) => item.RepoTags)).toEqual([
      ["app:1", "app:2"],
      ["other:latest"],
    ]);
    expect(JSON.parse(files.get("index.json") ?? "").manifests).toHaveLength(3);
    expect([...files.keys()].filter((name) => name.startsWith("blobs/sha256/"))).toHaveLength(2 + 2 + 3);

    using fresh = await setUpTransfer();
    const loaded = await fresh.transfer.load(fromBuffer(tar), fresh.options);
    expect(loaded.map((image) => image.id)).toEqual([a.id, b.id]);
    expect(await read(fresh.transfer.save(["app", "other"], { signal }))).toEqual(tar);
    const withoutManifest = [...files]
      .filter(([name]) => name !== "manifest.json")
      .map(([name, content]) => ({ name, content }));
    using oci = await setUpTransfer();
    await oci.transfer.load(fromBuffer(await tarOf(withoutManifest)), oci.options);
    expect(oci.images.get("app:2").id).toBe(a.id);
  });
  test("by id there are no names; what is missing is told before a byte", async () => {
    using t = await setUpTransfer();
    const image = await t.make({ names: ["app"] });
    const tar = await read(t.transfer.save([image.id], { signal }));
    expect(String(tar)).toContain('"RepoTags":null');
    expect(() => t.transfer.save(["nope"], { signal })).toThrow("No such image: nope");
    expect(() => t.transfer.save(["app"], { signal, platform: "linux/s390x" })).toThrow(
      "wanted linux/s390x, actual: linux/amd64",
    );
  });
});

describe("import", () => {
  test("a tar becomes an image of one layer", async () => {
    using t = await setUpTransfer();
    const tar = await tarOf([{ name: "hello", content: "world" }]);
    const image = await t.transfer.import(fromBuffer(gzipSync(tar)), {
      ...t.options,
      name: { domain: "docker.io", path: "library/imported" },
      changes: ['CMD ["x"]'],
      message: "why not",
    });
    expect(image.config.rootfs.diff_ids).toEqual([digestOf(tar)]);
    expect(image.run.Cmd).toEqual(["x"]);
    expect(t.images.get("imported").id).toBe(image.id);
    expect((await t.images.history("imported"))[0]?.Comment).toBe("why not");
    expect(t.said).toEqual([{ status: image.id }]);
    expect(t.actions()).toEqual([`import ${image.id}`]);
  });
  test("bad changes are refused before anything is read", async () => {
    using t = await setUpTransfer();
    expect(t.transfer.import(fromBuffer("x"), { ...t.options, changes: ["RUN x"] })).rejects.toThrow(
      "RUN is not a valid change command",
    );
    expect([...t.content.list()]).toEqual([]);
  });
});

describe("what is said about an image", () => {
  const predicate = Buffer.from('{"packages":[1,2]}');
  const asked = { signal: new AbortController().signal };

  async function savedWith(...attestations: { predicateType: string; predicate: Uint8Array }[]) {
    using t = await setUpTransfer();
    const image = await t.make({ names: ["app:1"] });
    await t.images.attest(image, attestations);
    return await collect(t.transfer.save(["app:1"], asked), 1 << 20);
  }
  const files = async (bytes: Uint8Array) => {
    const found = new Map<string, string>();
    for await (const { header, content } of readTar(fromBuffer(bytes)))
      found.set(Buffer.from(header.name).toString(), (await collect(content, 1 << 20)).toString());
    return found;
  };

  test("is saved as BuildKit does, and loaded again", async () => {
    const saved = await savedWith({ predicateType: "https://x/a", predicate });
    const found = await files(saved);
    const blob = (digest: string) => JSON.parse(found.get(`blobs/${digest.replace(":", "/")}`) ?? "");
    const [entry] = JSON.parse(found.get("index.json") ?? "").manifests;
    expect([entry.mediaType, entry.annotations["io.containerd.image.name"]]).toEqual([
      mediaTypes.index,
      "docker.io/library/app:1",
    ]);
    const [image, attested] = blob(entry.digest).manifests;
    expect(image.platform).toEqual({ os: "linux", architecture: "amd64" });
    expect(attested).toMatchObject({
      platform: { os: "unknown", architecture: "unknown" },
      annotations: {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image.digest,
      },
    });
    const { layers: said, config: its } = blob(attested.digest);
    expect(said[0].annotations).toEqual({ "in-toto.io/predicate-type": "https://x/a" });
    expect(blob(its.digest).rootfs.diff_ids).toEqual([said[0].digest]);
    using t = await setUpTransfer();
    for (let time = 0; time < 2; time++) await t.transfer.load(fromBuffer(saved), t.options);
    const [statement] = await t.images.attestations("app:1");
    expect(Buffer.from(statement?.bytes ?? []).toString()).toBe(
      found.get(`blobs/${said[0].digest.replace(":", "/")}`) ?? "",
    );
  });

  test("and is not about it, or nothing that can be read, is left out by name", async () => {
    const found = await files(await savedWith({ predicateType: "https://x/a", predicate }));
    const texts = { about: /("subject":.*"sha256":")[0-9a-f]/, none: /in-toto.io.Statement/, json: /"predicate":\{/ };
    const reasons = { about: "it says nothing about sha256:", none: "no in-toto statement", json: "invalid JSON" };
    for (const kind of ["about", "none", "json"] as const) {
      using t = await setUpTransfer();
      const broken = reread(found, (text) =>
        text.includes('"_type"') ? text.replace(texts[kind], kind === "about" ? "$1z" : "x") : text,
      );
      await t.transfer.load(fromBuffer(await tarOf(broken)), t.options);
      expect(await t.images.attestations("app:1")).toEqual([]);
      const told = t.said.map(({ stream }) => stream).find((line) => line?.startsWith("Attestation left out"));
      expect(told).toContain(reasons[kind]);
    }
  });

  /** The same archive with other statements, under the digests that they then have. */
  function reread(found: ReadonlyMap<string, string>, change: (text: string) => string): TarFile[] {
    const renamed = new Map<string, readonly [string, number, number]>();
    const order = ["_type", "diff_ids", '"layers"', "attestation-manifest", ""];
    let left = [...found].filter(([name]) => name.startsWith("blobs/"));
    const done: TarFile[] = [];
    const again = (text: string) => {
      let all = change(text);
      for (const [old, [digest, size, was]] of renamed) {
        all = all.replaceAll(`"digest":"${old}","size":${was}`, `"digest":"${digest}","size":${size}`);
        all = all.replaceAll(old, digest);
      }
      return all;
    };
    for (const mark of order) {
      const now = left.filter(([, text]) => text.includes(mark));
      left = left.filter((one) => !now.includes(one));
      for (const [name, text] of now) {
        const content = again(text);
        const old = `sha256:${name.slice("blobs/sha256/".length)}`;
        if (content !== text)
          renamed.set(old, [digestOf(content), Buffer.byteLength(content), Buffer.byteLength(text)]);
        done.push({ name: `blobs/sha256/${hexOf(digestOf(content))}`, content });
      }
    }
    const rest = [...found].filter(([name]) => !name.startsWith("blobs/"));
    return [...done, ...rest.map(([name, text]) => ({ name, content: again(text) }))];
  }
});
