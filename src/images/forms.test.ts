import { expect, test } from "bun:test";
import { type Index, type Manifest, mediaTypes, parseReference } from "../oci/mod.ts";
import { startRegistry } from "../registry-server/testing/start.suite.ts";
import { type Bytes, readTar } from "../stream/mod.ts";
import type { ImageForm } from "./images.ts";
import { engine } from "./testing/moving.ts";

async function filesOf(archive: Bytes): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for await (const { header, content } of readTar(archive))
    files.set(Buffer.from(header.name).toString(), Buffer.concat(await Array.fromAsync(content)).toString());
  return files;
}

test("one image in forms of its own, by a name that it has not here or by its digest alone", async () => {
  await using r = await startRegistry();
  using t = await engine();
  const image = await t.make({ layers: ["one"] });
  const push = (name: string, form?: ImageForm) =>
    t.transfer.pushImage(image, parseReference(`${r.host}/${name}`), { ...t.options, ...(form && { form }) });
  const usual = await push("app:1");
  expect(await t.client.resolve(parseReference(`${r.host}/app:1`), t.options)).toMatchObject(usual);
  expect(await push("alone")).toEqual(usual);
  expect(r.tags.tags("alone", { limit: 9 })).toEqual([]);
  const layerOf = async (form: ImageForm) => {
    const { digest, mediaType } = await push("app", form);
    const manifest = JSON.parse(Buffer.from(await r.content.read(digest)).toString()) as Manifest;
    return [mediaType, manifest.config.mediaType, manifest.layers[0]?.mediaType];
  };
  const { manifest, config, layer, layerZstd } = mediaTypes;
  expect(await layerOf({ compression: "zstd", level: 9 })).toEqual([manifest, config, layerZstd]);
  expect(await layerOf({ compression: "uncompressed", mediaTypes: "oci" })).toEqual([manifest, config, layer]);
  const docker = [mediaTypes.dockerManifest, mediaTypes.dockerConfig, mediaTypes.dockerLayerGzip];
  expect(await layerOf({ compression: "gzip", mediaTypes: "docker" })).toEqual(docker);
  expect((await t.images.inspect(image.id)).RepoTags).toEqual([]);
  const pulled = await t.transfer.pull(parseReference(`${r.host}/app:1`), t.options);
  const again = async (form: ImageForm) => {
    const ref = parseReference(`${r.host}/again`);
    const { digest } = await t.transfer.pushImage(pulled, ref, { ...t.options, form });
    return (JSON.parse(Buffer.from(await r.content.read(digest)).toString()) as Manifest).layers[0];
  };
  expect((await again({ compression: "zstd" }))?.mediaType).toBe(mediaTypes.layerGzip);
  expect((await again({ compression: "zstd", force: true }))?.mediaType).toBe(layerZstd);
  const bare = await again({ compression: "uncompressed", force: true });
  expect(bare).toMatchObject({ mediaType: layer, digest: image.config.rootfs.diff_ids[0] });
  for (const [form, message] of [
    [{ compression: "zstd", mediaTypes: "docker" }, "docker's media types have none for zstd"],
    [{ compression: "gzip", level: 10 }, "compression-level 10 is not between 0 and 9"],
  ] as const) {
    expect(await push("app", form).then(() => "", String)).toContain(message);
  }
  const files = await filesOf(
    t.transfer.save([image.id], { ...t.options, form: { compression: "gzip", mediaTypes: "docker" } }),
  );
  const [listed] = (JSON.parse(files.get("index.json") ?? "") as Index).manifests;
  expect(listed?.mediaType).toBe(mediaTypes.dockerManifest);
  const saved = JSON.parse(files.get(`blobs/${listed?.digest.replace(":", "/")}`) ?? "") as Manifest;
  expect(files.has(`blobs/${saved.layers[0]?.digest.replace(":", "/")}`)).toBe(true);
});

test("images for several platforms go as an index, to a registry and to an archive", async () => {
  await using r = await startRegistry();
  using t = await engine();
  const images = [await t.make({ layers: ["one"] }), await t.make({ layers: ["two"] })];
  const ref = parseReference(`${r.host}/app:1`);
  const pushed = await t.transfer.pushIndex(images, ref, t.options);
  expect(await t.client.resolve(ref, t.options)).toMatchObject(pushed);
  const index = JSON.parse(Buffer.from(await r.content.read(pushed.digest)).toString()) as Index;
  expect(index.manifests.map(({ platform }) => platform)).toEqual(
    images.map(() => ({ architecture: "amd64", os: "linux" })),
  );
  for (const { digest } of index.manifests) expect((await r.content.read(digest)).length).toBeGreaterThan(0);
  const ids = images.map(({ id }) => id);
  const archive = t.transfer.save(ids, { ...t.options, asIndex: true, names: [parseReference("x:1")] });
  const files = await filesOf(archive);
  expect([...files.keys()].filter((name) => !name.startsWith("blobs/"))).toEqual(["index.json", "oci-layout"]);
  const { manifests } = JSON.parse(files.get("index.json") ?? "") as Index;
  expect(manifests).toMatchObject([
    { mediaType: mediaTypes.index, annotations: { "io.containerd.image.name": "docker.io/library/x:1" } },
  ]);
  const inner = JSON.parse(files.get(`blobs/${manifests[0]?.digest.replace(":", "/")}`) ?? "") as Index;
  expect(inner.manifests).toHaveLength(2);
  for (const { digest } of inner.manifests) expect(files.has(`blobs/${digest.replace(":", "/")}`)).toBe(true);
});
