import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { ContentStore } from "../../content/mod.ts";
import type { Db } from "../../db/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import type { Collector, Leases } from "../../gc/mod.ts";
import type { LayerSource, Layers } from "../../layers/mod.ts";
import { chainIds, type Digest, digestOf } from "../../oci/mod.ts";
import { imageRoots } from "../table.ts";

/** Stand-ins that keep the promises of layers and gc in a few lines, for tests of images alone. */
export class FakeLayers implements Pick<Layers, "chain" | "unpack" | "verify" | "recordChain"> {
  readonly chains = new Map<Digest, string>();
  unpacked: Digest[] = [];
  readonly #content: ContentStore;

  constructor(content: ContentStore) {
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
      await this.verify(layer);
      this.chains.set(chain, `layer/${chain}`);
      this.unpacked.push(layer.diffId);
      options.onUnpacked?.(layer.diffId);
    }
    return this.chains.get(chains.at(-1) as Digest);
  }

  async verify({ diffId, blob }: Pick<LayerSource, "diffId" | "blob">) {
    const bytes = await this.#content.read(blob.digest);
    const plain = blob.mediaType.endsWith("gzip")
      ? gunzipSync(bytes)
      : blob.mediaType.endsWith("zstd")
        ? zstdDecompressSync(bytes)
        : bytes;
    if (digestOf(plain) !== diffId) throw new EngineError("invalid", `diff id differs from ${diffId}`);
  }
}

export const fakeLeases: Leases = { hold: (body) => body() };

export function fakeCollector(parts: { db: Db; content: ContentStore; layers: FakeLayers }): Collector {
  return {
    register: () => undefined,
    async collect() {
      const { db, content, layers } = parts;
      const blobs = db.write((tx) => content.dropUnreferenced(tx, imageRoots.content?.(tx) ?? []));
      await content.deleteDropped(blobs);
      const rows = db.read((q) => q.all<{ chain: Digest }>("SELECT chain FROM image_layers"));
      const chains = new Set(rows.map((row) => row.chain));
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
