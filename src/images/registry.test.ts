import { describe, expect, test } from "bun:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Digest, digestOf, type Manifest, mediaTypes, parseReference } from "../oci/mod.ts";
import type { RegistryClient } from "../registry-client/mod.ts";
import { startRegistry } from "../registry-server/testing/start.suite.ts";
import type { ProgressMessage } from "../wire/mod.ts";
import { engine } from "./testing/moving.ts";

/** A registry as it was before OCI distribution-spec 1.1. */
function withoutReferrers(url: string) {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const { method, headers } = request;
      const body = method === "GET" || method === "HEAD" ? undefined : await request.arrayBuffer();
      const answer = await fetch(`${url}${pathname}${search}`, { method, headers, ...(body && { body }) });
      const more = new Headers(answer.headers);
      for (const name of ["oci-subject", "transfer-encoding"]) more.delete(name);
      return new Response(method === "HEAD" ? null : answer.body, { status: answer.status, headers: more });
    },
  });
  return { host: `127.0.0.1:${server.port}`, [Symbol.dispose]: () => void server.stop(true) };
}

const short = (digest: string | undefined) => digest?.slice(7, 19);
const isEmpty = async (t: Awaited<ReturnType<typeof engine>>) => {
  expect([...t.content.list()]).toEqual([]);
  expect(await t.images.list({ filter: new Map(), all: true, sharedSize: false })).toEqual([]);
};

async function pushed(registry: string, layers = ["one", "two"]) {
  using t = await engine();
  const ref = parseReference(`${registry}/team/app:v1`);
  const image = await t.make({ layers, names: [`${registry}/team/app:v1`] });
  await t.transfer.push(ref, t.options);
  const { digest } = await t.client.resolve(ref, t.options);
  return { ref, id: image.id, digest };
}

describe("push", () => {
  test("plain layers go compressed, the second push sends nothing and is the same", async () => {
    await using r = await startRegistry();
    using t = await engine();
    const ref = parseReference(`${r.host}/team/app:v1`);
    const image = await t.make({ layers: ["one", "two"], names: [`${r.host}/team/app:v1`] });
    await t.transfer.push(ref, t.options);
    const first = t.lines();
    const [a, b] = image.config.rootfs.diff_ids.map(short);
    expect(first[0]).toBe(`The push refers to repository [${r.host}/team/app]`);
    for (const line of [`${a}: Preparing`, `${a}: Pushing`, `${a}: Pushed`, `${b}: Pushed`])
      expect(first).toContain(line);
    const { digest, size } = await t.client.resolve(ref, t.options);
    expect(first.slice(-2)).toEqual([
      `v1: digest: ${digest} size: ${size}`,
      JSON.stringify({ Tag: "v1", Digest: digest, Size: size }),
    ]);
    const manifest = JSON.parse(Buffer.from(await r.content.read(digest)).toString()) as Manifest;
    expect(manifest.layers[0]?.mediaType).toBe(mediaTypes.layerGzip);
    expect(gunzipSync(await r.content.read(manifest.layers[0]?.digest as Digest)).toString()).toBe("one");
    await t.collector.collect();
    await t.transfer.push(ref, t.options);
    const second = t.lines();
    expect(second.filter((line) => line?.endsWith("Layer already exists"))).toHaveLength(2);
    expect(second.at(-2)).toBe(`v1: digest: ${digest} size: ${size}`);
    expect((await t.images.inspect(image.id)).RepoDigests).toEqual([`${r.host}/team/app@${digest}`]);
    expect(t.images.get(`${r.host}/team/app@${digest}`).id).toBe(image.id);
    expect(t.actions()).toEqual([`push ${r.host}/team/app`, `push ${r.host}/team/app`]);
  });
  test("another repository of the registry mounts; without a tag all tags go", async () => {
    await using r = await startRegistry();
    using t = await engine();
    await t.make({ names: [`${r.host}/a:1`, `${r.host}/b:x`, `${r.host}/b:y`] });
    await t.transfer.push(parseReference(`${r.host}/a:1`), t.options);
    t.lines();
    await t.transfer.push(parseReference(`${r.host}/b`), t.options);
    expect(t.lines().filter((line) => line?.endsWith("Mounted from a"))).toHaveLength(1);
    expect(r.tags.tags("b", { limit: 9 })).toEqual(["x", "y"]);
  });

  const attestation = (text: string) => ({
    predicateType: `https://x/${text}`,
    predicate: Buffer.from(JSON.stringify({ text })),
  });
  const json = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString());

  test("what is said about an image goes along, about the manifest that was pushed", async () => {
    await using r = await startRegistry();
    using t = await engine();
    const ref = parseReference(`${r.host}/team/app:v1`);
    const image = await t.make({ layers: ["one"], names: [`${r.host}/team/app:v1`] });
    await t.images.attest(image, [attestation("a"), attestation("b")]);
    await t.images.attest(image, [attestation("b")]);
    for (let time = 0; time < 2; time++) await t.transfer.push(ref, t.options);
    const { digest, size } = await t.client.resolve(ref, t.options);
    const referrers = r.tags.referrers("team/app", digest);
    expect(referrers.map(({ artifactType }) => artifactType)).toEqual(Array(2).fill("application/vnd.in-toto+json"));
    expect(r.tags.tags("team/app", { limit: 10 })).toEqual(["v1"]);
    const said = referrers.map(async (one) => {
      const manifest = json(await r.content.read(one.digest));
      expect(manifest.subject).toEqual({ mediaType: mediaTypes.manifest, digest, size });
      expect(json(await r.content.read(manifest.config.digest))).toEqual({});
      const statement = json(await r.content.read(manifest.layers[0].digest));
      expect(statement.subject).toEqual([
        { name: `pkg:docker/${r.host}/team/app@v1?platform=linux%2Famd64`, digest: { sha256: digest.slice(7) } },
      ]);
      expect(one.annotations).toEqual({ "in-toto.io/predicate-type": statement.predicateType });
      return statement.predicate.text;
    });
    expect((await Promise.all(said)).sort()).toEqual(["a", "b"]);
    const [blob] = t.db.read((q) => q.all<{ digest: Digest }>("SELECT digest FROM image_attestations"));
    await t.collector.collect();
    expect(t.content.info(blob?.digest as Digest)).toBeDefined();
    await t.images.remove(image.id, { force: true, prune: true });
    await isEmpty(t);
  });

  test("a registry that does not know of referrers lists them under a tag", async () => {
    await using r = await startRegistry();
    using front = withoutReferrers(r.url);
    using t = await engine();
    const ref = parseReference(`${front.host}/app:v1`);
    const image = await t.make({ layers: ["one"], names: [`${front.host}/app:v1`] });
    await t.images.attest(image, [attestation("a"), attestation("b")]);
    for (let time = 0; time < 2; time++) await t.transfer.push(ref, t.options);
    const { digest } = await t.client.resolve(ref, t.options);
    const tag = digest.replace(":", "-");
    expect(r.tags.tags("app", { limit: 10 })).toEqual([tag, "v1"]);
    const index = json(await r.content.read(r.tags.manifest("app", tag)?.digest as Digest));
    expect(index.manifests).toEqual(expect.arrayContaining(r.tags.referrers("app", digest)));
    expect(index.manifests).toHaveLength(2);
    const other = await t.make({ layers: ["two"], names: [`${front.host}/app:${tag}`] });
    await t.transfer.push(parseReference(`${front.host}/app:${tag}`), t.options);
    await t.images.attest(image, [attestation("c")]);
    expect(await t.transfer.push(ref, t.options).then(() => "", String)).toContain("is no list of referrers");
    await t.images.remove(other.id, { force: true, prune: true });
    expect(await t.images.attest(other, [attestation("c")]).then(() => "", String)).toContain("No such image");
  });

  test("what is not here", async () => {
    using t = await engine();
    expect(t.transfer.push(parseReference("nope:1"), t.options)).rejects.toThrow(
      "An image does not exist locally with the tag: nope",
    );
    expect(t.transfer.push(parseReference("nope"), t.options)).rejects.toThrow(
      "An image does not exist locally with the repository: nope",
    );
  });
});

describe("pull", () => {
  test("by tag, again, by digest", async () => {
    await using r = await startRegistry();
    const { ref, id, digest } = await pushed(r.host);
    using t = await engine();
    const image = await t.transfer.pull(ref, t.options);
    expect(image.id).toBe(id);
    const first = t.lines();
    const { layers } = JSON.parse(Buffer.from(await t.content.read(digest)).toString()) as Manifest;
    const name = `${r.host}/team/app:v1`;
    expect(first[0]).toBe("v1: Pulling from team/app");
    for (const layer of layers) {
      const own = first
        .filter((line) => line?.startsWith(`${short(layer.digest)}:`))
        .map((line) => line?.split(": ")[1]);
      expect([...new Set(own)]).toEqual([
        "Pulling fs layer",
        "Downloading",
        "Verifying Checksum",
        "Download complete",
        "Extracting",
        "Pull complete",
      ]);
    }
    expect(first.slice(-2)).toEqual([`Digest: ${digest}`, `Status: Downloaded newer image for ${name}`]);
    await t.collector.collect();
    await t.transfer.pull(ref, t.options);
    expect(t.lines()).toEqual([
      "v1: Pulling from team/app",
      `Digest: ${digest}`,
      `Status: Image is up to date for ${name}`,
    ]);
    expect(t.actions()).toEqual([`pull ${r.host}/team/app`, `pull ${r.host}/team/app`]);
    expect((await t.images.inspect(name)).RepoDigests).toEqual([`${r.host}/team/app@${digest}`]);

    using other = await engine();
    const byDigest = parseReference(`${r.host}/team/app@${digest}`);
    expect((await other.transfer.pull(byDigest, other.options)).names).toEqual([]);
    expect(other.lines()[0]).toBe(`${digest}: Pulling from team/app`);
    expect(other.images.get(`${r.host}/team/app@${digest}`).id).toBe(id);
  });
  test("layers that are here are not fetched; a pulled image is pushed with the very same manifest", async () => {
    await using r = await startRegistry();
    const { ref, digest } = await pushed(r.host, ["base", "old"]);
    using t = await engine();
    const image = await t.transfer.pull(ref, t.options);
    await pushed(r.host, ["base", "new"]);
    t.lines();
    await t.transfer.pull(ref, t.options);
    const lines = t.lines();
    expect(lines.filter((line) => line?.endsWith("Already exists"))).toHaveLength(1);
    expect(lines.filter((line) => line?.endsWith("Pull complete"))).toHaveLength(1);
    t.images.tag(image, parseReference(`${r.host}/copy:1`));
    await t.transfer.push(parseReference(`${r.host}/copy:1`), t.options);
    expect(r.tags.manifest("copy", "1")?.digest).toBe(digest);
  });
  test("two at once share one download and both see it", async () => {
    await using r = await startRegistry();
    const { ref, id } = await pushed(r.host);
    let resolved = 0;
    using t = await engine((client) => ({
      resolve: (...args) => {
        resolved++;
        return client.resolve(...args);
      },
    }));
    const other: ProgressMessage[] = [];
    const both = await Promise.all([
      t.transfer.pull(ref, t.options),
      t.transfer.pull(ref, { ...t.options, progress: (message) => other.push(message) }),
    ]);
    expect(both.map((image) => image.id)).toEqual([id, id]);
    expect(resolved).toBe(1);
    expect(other.at(-1)?.status).toStartWith("Status: Downloaded newer image");
  });
  test("an index: the platform that is asked for", async () => {
    await using r = await startRegistry();
    const { ref, digest, id } = await pushed(r.host);
    using t = await engine();
    const entry = { mediaType: mediaTypes.manifest, digest, size: r.tags.manifest("team/app", "v1")?.size ?? 0 };
    const manifests = [{ ...entry, platform: { os: "linux", architecture: "amd64" } }];
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }));
    const index = { mediaType: mediaTypes.index, digest: digestOf(bytes), size: bytes.length };
    await t.client.pushManifest({ ...ref, tag: "multi" }, index, bytes, t.options);
    const looked = [await t.transfer.look(ref, t.options), await t.transfer.look({ ...ref, tag: "multi" }, t.options)];
    expect(looked.map(({ named }) => named.digest)).toEqual([digest, index.digest]);
    expect(looked[0]?.platforms).toEqual([{ os: "linux", architecture: "amd64" }]);
    expect(looked[1]?.platforms.map(({ architecture }) => architecture)).toContain("amd64");
    const multi = { ...ref, tag: "multi" };
    expect((await t.transfer.pull(multi, { ...t.options, platform: "linux/amd64" })).id).toBe(id);
    expect((await t.images.inspect(id)).RepoDigests).toEqual([`${r.host}/team/app@${index.digest}`]);
    expect(t.transfer.pull(multi, { ...t.options, platform: "linux/s390x" })).rejects.toThrow(
      "no matching manifest for linux/s390x in the manifest list entries",
    );
    expect(t.transfer.pull(ref, { ...t.options, platform: "linux/s390x" })).rejects.toThrow(
      "wanted linux/s390x, actual: linux/amd64",
    );
  });

  const corrupt = (make: (bytes: Uint8Array) => Uint8Array, which: string) => (client: RegistryClient) => ({
    fetch: async (...[ref, target, options]: Parameters<RegistryClient["fetch"]>) => {
      const bytes = await client.fetch(ref, target, options);
      if (!target.mediaType.includes(which)) return bytes;
      const whole = Buffer.concat(await Array.fromAsync(bytes));
      return (async function* () {
        yield make(whole);
      })();
    },
  });
  const flipped = (bytes: Uint8Array) => bytes.map((byte, at) => (at === 5 ? byte ^ 1 : byte));
  const cases: [string, (client: RegistryClient) => Partial<RegistryClient>, RegExp][] = [
    ["a flipped bit in a layer", corrupt(flipped, "layer"), /digest/],
    ["a layer that is too short", corrupt((bytes) => bytes.subarray(0, 4), "layer"), /4 bytes/],
    ["a layer that is too long", corrupt((bytes) => Buffer.concat([bytes, bytes]), "layer"), /more than the expected/],
    ["a flipped bit in the config", corrupt(flipped, "config"), /manifest verification failed/],
    ["another manifest", corrupt(() => Buffer.from("{}"), "manifest"), /manifest verification failed/],
    [
      "a registry that goes away",
      (client) => ({
        fetch: async (ref, target, options) => {
          if (target.mediaType.includes("layer")) throw new Error("gone");
          return client.fetch(ref, target, options);
        },
      }),
      /gone/,
    ],
  ];
  for (const [name, wrap, message] of cases) {
    test(`${name} fails it and leaves nothing`, async () => {
      await using r = await startRegistry();
      const { ref } = await pushed(r.host);
      using t = await engine(wrap);
      const err = await t.transfer.pull(ref, t.options).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect((err as Error)?.message).toMatch(message);
      await isEmpty(t);
    });
  }
  test("a layer that is not what the config says", async () => {
    await using r = await startRegistry();
    using t = await engine();
    const ref = parseReference(`${r.host}/evil:1`);
    const put = async (bytes: Uint8Array, mediaType: string) => {
      const target = { mediaType, digest: digestOf(bytes), size: bytes.length };
      await t.client.pushBlob(
        ref,
        target,
        async function* () {
          yield bytes;
        },
        t.options,
      );
      return target;
    };
    const layer = await put(gzipSync("evil"), mediaTypes.layerGzip);
    const rootfs = { type: "layers", diff_ids: [digestOf("good")] };
    const config = await put(
      Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", rootfs })),
      mediaTypes.config,
    );
    const bytes = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] }),
    );
    await t.client.pushManifest(
      ref,
      { mediaType: mediaTypes.manifest, digest: digestOf(bytes), size: bytes.length },
      bytes,
      t.options,
    );
    expect(t.transfer.pull(ref, t.options)).rejects.toThrow("diff id differs");
    await isEmpty(t);
  });
  test("an abort leaves nothing", async () => {
    await using r = await startRegistry();
    const { ref } = await pushed(r.host);
    const abort = new AbortController();
    using t = await engine((client) => ({
      fetch: async (from, target, options) => {
        if (target.mediaType.includes("layer")) abort.abort();
        return client.fetch(from, target, options);
      },
    }));
    await expect(t.transfer.pull(ref, { ...t.options, signal: abort.signal })).rejects.toThrow("abort");
    // The one who waited has gone; the pull itself cleans up behind him.
    while ([...t.content.list()].length > 0) await Bun.sleep(1);
    await isEmpty(t);
  });
});
