import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../errors/mod.ts";
import { archive } from "../../layers/testing/store.ts";
import { type Descriptor, type Digest, digestOf, mediaTypes, parseReference } from "../../oci/mod.ts";
import { parseCacheOption } from "../../wire/mod.ts";
import type { BuildOptions } from "../builder.ts";
import type { BuildSession, ClientStore } from "../session.ts";
import { buildOptions, openEngine, type TestEngine } from "../testing/engine.ts";
import { memoryRegistry } from "../testing/registry.ts";

let ran: string[] = [];
let times = 0;
const registry = memoryRegistry();

/** `write FILE TEXT`; `number FILE` never leaves the same twice. */
async function openTestEngine(): Promise<TestEngine> {
  const opened = await openEngine({
    registry: registry.client,
    process: (root, { spec }) => {
      const command = spec.process.args.at(-1) ?? "";
      const [word, file = "", text = ""] = command.split(" ");
      ran.push(command);
      if (word === "write") writeFileSync(join(root, file), text);
      if (word === "number") writeFileSync(join(root, file), String(++times));
      return 0;
    },
  });
  await opened.image("base", { tar: await archive("etc/", { name: "etc/passwd", text: "app:x:1000:1000::/:\n" }) });
  return opened;
}

let engine: TestEngine;
let other: TestEngine;
beforeAll(async () => {
  engine = await openTestEngine();
  other = await openTestEngine();
});
afterEach(async () => {
  for (const on of [engine, other]) await on.builder.prune(new Map(), { all: true });
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

interface Given extends Partial<BuildOptions> {
  readonly on: TestEngine;
  readonly from?: readonly string[];
  readonly to?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
}

async function built(dockerfile: string, { on, from = [], to = [], files = {}, ...more }: Given) {
  ran = [];
  registry.fetched.length = 0;
  const caches = { cacheImports: from.map(parseCacheOption), cacheExports: to.map(parseCacheOption) };
  const options = buildOptions({ ...caches, ...more });
  const image = await on.builder.build(on.context({ Dockerfile: dockerfile, ...files }), options);
  const said = options.said.map(({ stream = "" }) => stream).join("");
  return { image, said, cached: said.match(/Using cache/g)?.length ?? 0 };
}

const failure = (promise: Promise<unknown>): Promise<string> => promise.then(() => "It did not fail", messageOf);
const cache = (name: string, more = "") => `type=registry,ref=127.0.0.1:5000/${name}${more}`;
const rootOf = (name: string): Descriptor =>
  registry.manifests.get(`127.0.0.1:5000/${name}:latest`) ?? { mediaType: "", digest: digestOf(""), size: 0 };
const jsonOf = (digest: Digest) => JSON.parse(Buffer.from(registry.blobs.get(digest) ?? []).toString());

const stages = `FROM base AS made
RUN write a 1
WORKDIR /work
RUN number b
FROM base
RUN nothing
COPY --from=made /b /b
COPY f /f
RUN write last 1
`;
const files = { f: "F" };

describe("a registry's cache", () => {
  test("mode=max has every step of every stage, with the very same layers and times", async () => {
    const { image } = await built(stages, { on: engine, files, to: [cache("max", ",mode=max")] });
    expect(ran).toHaveLength(4);
    const again = await built(stages, { on: other, files, from: [cache("max")] });
    expect([ran, again.cached]).toEqual([[], 7]);
    expect(again.image.config.rootfs).toEqual(image.config.rootfs);
    const timesOf = ({ config }: typeof image) => config.history?.map(({ created }) => created) ?? [];
    expect(timesOf(again.image).slice(0, -1)).toEqual(timesOf(image).slice(0, -1));
    expect(again.said).toContain("importing cache manifest from 127.0.0.1:5000/max\n");
    const changed = await built(stages.replace("last 1", "last 2"), { on: other, files, from: [cache("max")] });
    expect([ran, changed.cached]).toEqual([["write last 2"], 6]);
  });

  test("mode=min has the steps of the result alone; layers come when their step does, and are not unpacked before they must", async () => {
    await built("FROM base\nRUN write a 1\nRUN write b 2", { on: engine, to: [cache("min")] });
    const [first, second]: Descriptor[] = jsonOf(rootOf("min").digest).layers;
    await built("FROM base\nRUN write a 1\nRUN write c 3", { on: other, from: [cache("min")] });
    expect(ran).toEqual(["write c 3"]);
    expect([first, second].map((layer) => layer && registry.fetched.includes(layer.digest))).toEqual([true, false]);
    await other.builder.prune(new Map(), { all: true });
    const snapshots = [...other.snapshots.list()].length;
    await built("FROM base\nRUN write a 1\nRUN write b 2", { on: other, from: [cache("min")] });
    expect([ran, [...other.snapshots.list()].length]).toEqual([[], snapshots]);
  });

  test("mode=min and an inline cache leave out the stages that are copied from, as long as these would do the same", async () => {
    const bound = `${stages}RUN --mount=type=bind,from=made,target=/m write bound 1\nRUN number after\n`;
    const { image } = await built(bound, {
      on: engine,
      files,
      to: [cache("result")],
      inlineCache: true,
      tags: ["whole"],
    });
    const { records } = jsonOf(jsonOf(rootOf("result").digest).config.digest);
    expect(records).toHaveLength(1 + 5 * 2); // from the COPY of another stage on, contents and definition are two keys
    const again = await built(bound, { on: other, files, from: [cache("result")] });
    expect([ran, again.cached]).toEqual([[], 9]);
    expect(again.image.config.rootfs).toEqual(image.config.rootfs);
    await built(bound, { on: other, files, from: [cache("result")], to: [cache("handed", ",mode=max")] });
    await other.builder.prune(new Map(), { all: true });
    const handed = await built(bound, { on: other, files, from: [cache("handed")] });
    expect([ran, handed.image.config.rootfs]).toEqual([[], image.config.rootfs]);
    await other.builder.prune(new Map(), { all: true });
    const renamed = bound.replaceAll("made", "other");
    expect((await built(renamed, { on: other, files, from: [cache("result")] })).cached).toBe(9);
    await other.builder.prune(new Map(), { all: true });
    await built(bound.replace("write a 1", "write a 2"), { on: other, files, from: [cache("result")] });
    expect(ran.slice(0, 2)).toEqual(["write a 2", "number b"]);
    await engine.builder.prune(new Map(), { all: true });
    const inline = await built(bound, { on: engine, files, from: ["type=registry,ref=whole"] });
    expect([ran, inline.image.config.rootfs]).toEqual([[], image.config.rootfs]);
  });

  test.each([
    ["", mediaTypes.manifest, mediaTypes.layerGzip],
    [",compression=uncompressed", mediaTypes.manifest, mediaTypes.layer],
    [",image-manifest=false,force-compression=true", mediaTypes.index, mediaTypes.layerGzip],
    [",oci-mediatypes=false", mediaTypes.dockerManifestList, mediaTypes.dockerLayerGzip],
  ])("in BuildKit's forms: %p is %p of %p", async (more, manifest, layer) => {
    const dockerfile = "FROM base\nRUN nothing\nRUN number a\nRUN nothing more";
    const { image } = await built(dockerfile, { on: engine, to: [cache("form", more)] });
    const { mediaType, digest } = rootOf("form");
    const { layers, manifests = layers, config = manifests.at(-1) } = jsonOf(digest);
    expect([mediaType, manifests[0].mediaType, config.mediaType]).toEqual([
      manifest,
      layer,
      "application/vnd.buildkit.cacheconfig.v0",
    ]);
    expect(manifests[0].annotations["containerd.io/uncompressed"]).toBe(image.config.rootfs.diff_ids[1]);
    const told = jsonOf(config.digest);
    expect(told.layers).toEqual([{ blob: manifests[0].digest, parent: -1 }]);
    expect(told.records.map(({ layers: results }: { layers?: unknown }) => results !== undefined)).toEqual([
      ...[false, true, true],
    ]);
    const again = await built(dockerfile, { on: other, from: [cache("form")] });
    expect([ran, again.image.config.rootfs]).toEqual([[], image.config.rootfs]);
  });

  test("what several builds of one request leave is one cache", async () => {
    await engine.image("second", { tar: await archive("etc/", { name: "etc/second", text: "2" }) });
    const contextOf = (on: TestEngine) =>
      on.context({ Dockerfile: "ARG BASE=base\nFROM $BASE\nRUN write same 1\nRUN number other" });
    const options = (more: Partial<BuildOptions>) =>
      ["base", "second"].map((BASE) => buildOptions({ args: { BASE }, ...more }));
    const to = { cacheExports: [parseCacheOption(cache("each"))] };
    const images = await engine.builder.buildEach(contextOf(engine), options(to));
    await engine.builder.prune(new Map(), { all: true });
    ran = [];
    const from = { cacheImports: [parseCacheOption(cache("each"))] };
    const again = await engine.builder.buildEach(contextOf(engine), options(from));
    expect([ran, again.map(({ config }) => config.rootfs)]).toEqual([[], images.map(({ config }) => config.rootfs)]);
    expect(jsonOf(rootOf("each").digest).layers).toHaveLength(4);
  });

  test("a step is not taken that stands on other layers than here", async () => {
    const dockerfile = "FROM base\nRUN number a\nRUN write b 2";
    await built(dockerfile, { on: engine, to: [cache("apart")] });
    await built("FROM base\nRUN number a", { on: other });
    await built(dockerfile, { on: other, from: [cache("apart")] });
    expect(ran).toEqual(["write b 2"]);
  });

  test("an image with an inline cache is one, here and in the registry", async () => {
    const dockerfile = "FROM base\nRUN write a 1\nRUN number b";
    const { image } = await built(dockerfile, { on: engine, inlineCache: true, tags: ["inlined"] });
    const here = await built(dockerfile, { on: engine, from: ["type=registry,ref=inlined"], noCache: true });
    expect([ran.length, here.cached]).toEqual([2, 0]);
    const ref = parseReference("127.0.0.1:5000/inlined:latest");
    for (const { digest } of engine.images.layers(image)) registry.blobs.set(digest, await engine.content.read(digest));
    const config = await engine.content.read(image.id);
    registry.blobs.set(image.id, config);
    const layers = engine.images.layers(image);
    const manifest = Buffer.from(
      JSON.stringify({
        ...{ schemaVersion: 2, mediaType: mediaTypes.manifest, layers },
        config: { mediaType: mediaTypes.config, digest: image.id, size: config.length },
      }),
    );
    const target = { mediaType: mediaTypes.manifest, digest: digestOf(manifest), size: manifest.length };
    await registry.client.pushManifest(ref, target, manifest, { signal: new AbortController().signal });
    const again = await built(dockerfile, { on: other, from: ["127.0.0.1:5000/inlined"] });
    expect([ran, again.image.config.rootfs]).toEqual([[], image.config.rootfs]);
  });

  test("what cannot be had is a warning: no cache, a broken one, a layer that is missing or another", async () => {
    const dockerfile = "FROM base\nRUN number a\nRUN number b";
    const missing = await built(dockerfile, { on: other, from: [cache("none")] });
    expect([ran.length, missing.said]).toEqual([2, expect.stringContaining("[Warning] importing cache manifest from")]);
    await other.builder.prune(new Map(), { all: true });
    await built(dockerfile, { on: engine, to: [cache("bad")] });
    const { layers, config } = jsonOf(rootOf("bad").digest);
    registry.blobs.set(layers[1].digest, Bun.gzipSync(Buffer.from("something else")));
    const wrong = await built(dockerfile, { on: other, from: [cache("bad")] });
    expect([ran, wrong.cached]).toEqual([["number b"], 1]);
    expect(wrong.said).toContain("Not taken from the cache 127.0.0.1:5000/bad: ");
    await built(dockerfile, { on: engine, noCache: true, to: [cache("bad")] });
    registry.blobs.delete(jsonOf(rootOf("bad").digest).layers[0].digest);
    await other.builder.prune(new Map(), { all: true });
    const gone = await built(dockerfile, { on: other, from: [cache("bad")] });
    expect([ran.length, gone.said]).toEqual([2, expect.stringContaining("cache 127.0.0.1:5000/bad: blob")]);
    registry.blobs.set(jsonOf(rootOf("bad").digest).config.digest, Buffer.from("{}"));
    const broken = await built(dockerfile, { on: other, from: [cache("bad")] });
    expect([broken.said, config.mediaType]).toEqual([
      expect.stringContaining("verification failed for digest"),
      "application/vnd.buildkit.cacheconfig.v0",
    ]);
  });

  test("a registry that does not answer holds up no build that needs nothing of it", async () => {
    const dockerfile = "FROM base\nRUN write a 1";
    await built(dockerfile, { on: engine });
    const { resolve } = registry.client;
    registry.client.resolve = (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    try {
      const { cached, said } = await built(dockerfile, { on: engine, from: [cache("slow")] });
      expect([cached, said]).toEqual([1, expect.not.stringContaining("[Warning]")]);
    } finally {
      registry.client.resolve = resolve;
    }
  });

  test("what cannot be written fails the build, unless that is to be ignored; the image is there", async () => {
    const push = registry.client.pushBlob;
    const to = (more = "") => ({ on: engine, to: [cache("full", more)], tags: ["written"] });
    registry.client.pushBlob = async () => {
      throw new Error("no space there");
    };
    try {
      expect(await failure(built("FROM base\nRUN number a", to()))).toBe("no space there");
      expect(engine.images.find("written")).toBeDefined();
      const { said } = await built("FROM base\nRUN number a", to(",ignore-error=true"));
      expect(said).toContain("[Warning] exporting cache to registry: no space there");
    } finally {
      registry.client.pushBlob = push;
    }
  });
});

/** A client's directory, in memory. */
function clientWith(blobs: Map<Digest, Uint8Array>): BuildSession {
  const store: ClientStore = {
    size: async (digest) => blobs.get(digest)?.length,
    async *read({ digest }) {
      yield blobs.get(digest) ?? new Uint8Array();
    },
    write: async ({ digest }, bytes) => void blobs.set(digest, Buffer.concat(await Array.fromAsync(bytes))),
  };
  return { store: (id: string) => (id === "local:dir" ? store : undefined) } as Partial<BuildSession> as BuildSession;
}

test("a cache in a client's directory", async () => {
  const blobs = new Map<Digest, Uint8Array>();
  const session = clientWith(blobs);
  const published: { directory: string; manifest: Descriptor }[] = [];
  const to = {
    to: ["type=local,dest=dir,mode=max"],
    cachePublished: (one: (typeof published)[0]) => void published.push(one),
  };
  const { image } = await built(stages, { on: engine, files, session, ...to });
  expect(published).toMatchObject([{ directory: "dir", manifest: { mediaType: mediaTypes.manifest } }]);
  const digest = published[0]?.manifest.digest;
  const again = await built(stages, { on: other, files, session, from: [`type=local,src=dir,digest=${digest}`] });
  expect([ran, again.image.config.rootfs]).toEqual([[], image.config.rootfs]);
  await other.builder.prune(new Map(), { all: true });
  const none = { on: other, files, from: [`type=local,src=dir,digest=${digest}`] };
  expect((await built(stages, none)).said).toContain("the client hands out no directories");
  const elsewhere = await built(stages, { ...none, session, from: [`type=local,src=dir,digest=${digestOf("x")}`] });
  expect(elsewhere.said).toContain(`dir has no ${digestOf("x")}`);
});

test("other kinds and attributes are refused by name, before anything runs", async () => {
  const asked = (given: Partial<Given>) => failure(built("FROM base\nRUN never", { on: engine, ...given }));
  const why = [
    await asked({ to: ["type=gha"] }),
    await asked({ from: ["type=s3,bucket=b"] }),
    await asked({ from: ["type=registry,ref=a,ref2=b"] }),
    await asked({ from: ["type=registry"] }),
    await asked({ from: ["type=registry,ref=A:::"] }),
    await asked({ from: ["type=local,src=d"] }),
    await asked({ from: ["type=local,src=d,digest=x"] }),
    await asked({ to: ["type=local"] }),
    await asked({ to: [cache("x", ",mode=all")] }),
    await asked({ to: [cache("x", ",compression=zstd")] }),
    await asked({ to: [cache("x", ",ignore-error=perhaps")] }),
    await asked({ to: [cache("x", ",oci-mediatypes=false,image-manifest=true")] }),
  ];
  expect(ran).toEqual([]);
  expect(why).toEqual([
    "build with cache-to type=gha is not implemented by Berth",
    "build with cache-from type=s3 is not implemented by Berth",
    "build with cache-from type=registry and ref2 is not implemented by Berth",
    "cache-from type=registry requires ref",
    expect.stringContaining("cache-from: ref=A:::: "),
    "cache-from type=local requires digest",
    'cache-from: invalid value "x" for digest',
    "cache-to type=local requires dest",
    "build with cache-to type=registry and mode=all is not implemented by Berth",
    "build with cache-to type=registry and compression=zstd is not implemented by Berth",
    'cache-to: invalid value "perhaps" for ignore-error',
    "build with cache-to type=registry and image-manifest=true and oci-mediatypes=false is not implemented by Berth",
  ]);
});
