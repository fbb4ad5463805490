import { createHash, randomUUID } from "node:crypto";
import { appendFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { ContentInfo, ContentStore, Ingest } from "../../content/mod.ts";
import type { Db } from "../../db/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import type { Collector, Leases } from "../../gc/mod.ts";
import type { LayerSource, Layers } from "../../layers/mod.ts";
import { chainIds, type Digest, digestOf } from "../../oci/mod.ts";
import { imageRoots } from "../table.ts";

/** Stand-ins that keep the promises of content, layers and gc in a few lines, for tests of images alone. */
export class FakeContent implements ContentStore {
  readonly blobs = new Map<Digest, ContentInfo>();
  readonly open_ = new Set<string>();
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  info(digest: Digest) {
    return this.blobs.get(digest);
  }

  list() {
    return [...this.blobs.values()];
  }

  path(digest: Digest): string {
    if (!this.blobs.has(digest)) throw new EngineError("not-found", `blob ${digest} not found`);
    return join(this.#directory, digest.replace(":", "-"));
  }

  async *open(digest: Digest, range?: { start: number; end: number }) {
    const bytes = await readFile(this.path(digest));
    yield new Uint8Array(bytes.subarray(range?.start ?? 0, range?.end));
  }

  async read(digest: Digest) {
    return new Uint8Array(await readFile(this.path(digest)));
  }

  async put(bytes: Uint8Array): Promise<Digest> {
    const digest = digestOf(bytes);
    this.blobs.set(digest, { digest, size: bytes.length });
    await mkdir(this.#directory, { recursive: true });
    await writeFile(this.path(digest), bytes);
    return digest;
  }

  async remove(digest: Digest) {
    if (!this.blobs.has(digest)) return;
    await rm(this.path(digest), { force: true });
    this.blobs.delete(digest);
  }

  async ingest(expected: { digest?: Digest; size?: number } = {}): Promise<Ingest> {
    await mkdir(this.#directory, { recursive: true });
    const path = join(this.#directory, `ingest-${randomUUID()}`);
    await writeFile(path, "");
    this.open_.add(path);
    const hash = createHash("sha256");
    const publish = (info: ContentInfo) => this.blobs.set(info.digest, info);
    const target = (digest: Digest) => join(this.#directory, digest.replace(":", "-"));
    const end = () => this.open_.delete(path);
    const ingest = {
      path,
      offset: 0,
      async write(chunk: Uint8Array) {
        await appendFile(path, chunk);
        hash.update(chunk);
        ingest.offset += chunk.length;
      },
      async commit() {
        const digest = `sha256:${hash.digest("hex")}` as const;
        if (expected.size !== undefined && expected.size !== ingest.offset) {
          throw new EngineError("invalid", `size ${ingest.offset} differs from ${expected.size}`);
        }
        if (expected.digest && expected.digest !== digest) {
          throw new EngineError("invalid", `digest ${digest} differs from ${expected.digest}`);
        }
        await rename(path, target(digest));
        publish({ digest, size: ingest.offset });
        end();
        return { digest, size: ingest.offset };
      },
      async abort() {
        if (end()) await rm(path, { force: true });
      },
      [Symbol.asyncDispose]: () => ingest.abort(),
    };
    return ingest;
  }
}

export class FakeLayers implements Pick<Layers, "chain" | "unpack" | "recordChain"> {
  readonly chains = new Map<Digest, string>();
  unpacked: Digest[] = [];
  readonly #content: FakeContent;

  constructor(content: FakeContent) {
    this.#content = content;
  }

  chain(chainId: Digest) {
    return this.chains.get(chainId);
  }

  recordChain(chainId: Digest, snapshot: string) {
    this.chains.set(chainId, snapshot);
  }

  async unpack(layers: readonly LayerSource[], options: Parameters<Layers["unpack"]>[1]) {
    const chains = chainIds(layers.map((layer) => layer.diffId));
    for (const [index, layer] of layers.entries()) {
      const chain = chains[index] as Digest;
      await layer.ready;
      options.signal.throwIfAborted();
      const bytes = await this.#content.read(layer.blob.digest);
      const plain = layer.blob.mediaType.endsWith("gzip")
        ? gunzipSync(bytes)
        : layer.blob.mediaType.endsWith("zstd")
          ? zstdDecompressSync(bytes)
          : bytes;
      if (digestOf(plain) !== layer.diffId) throw new EngineError("invalid", `diff id differs from ${layer.diffId}`);
      this.chains.set(chain, `layer/${chain}`);
      this.unpacked.push(layer.diffId);
      options.onUnpacked?.(layer.diffId);
    }
    return this.chains.get(chains.at(-1) as Digest);
  }
}

export const fakeLeases: Leases = { hold: (body) => body() };

export function fakeCollector(parts: { db: Db; content: FakeContent; layers: FakeLayers }): Collector {
  return {
    async collect() {
      const { db, content, layers } = parts;
      const keep = new Set(db.read((q) => [...(imageRoots.content?.(q) ?? [])]));
      const rows = db.read((q) => q.all<{ chain: Digest }>("SELECT chain FROM image_layers"));
      const chains = new Set(rows.map((row) => row.chain));
      const blobs = content.list().filter((info) => !keep.has(info.digest));
      for (const { digest } of blobs) await content.remove(digest);
      const snapshots = [...layers.chains].filter(([chain]) => !chains.has(chain));
      for (const [chain] of snapshots) layers.chains.delete(chain);
      return {
        bytes: blobs.reduce((total, blob) => total + blob.size, 0),
        blobs: blobs.map((blob) => blob.digest),
        snapshots: snapshots.map(([, name]) => name),
      };
    },
  };
}
