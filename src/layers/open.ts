import type { ContentStore } from "../content/mod.ts";
import type { Db } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { Workers } from "../host/mod.ts";
import type { Log } from "../log/mod.ts";
import type { Digest } from "../oci/mod.ts";
import type { Snapshotter } from "../snapshots/mod.ts";
import { directoriesBelow } from "./below.ts";
import { listChanges } from "./jobs/changes.ts";
import { verifyLayer } from "./jobs/verify.ts";
import type { LayerSource, Layers, PackedLayer, PackOptions, RestoreOptions, UnpackOptions } from "./layers.ts";
import { packSnapshot } from "./pack.ts";
import { dropStale, findChain, insertChain } from "./table.ts";
import { Unpacking, unpackPrefix } from "./unpack.ts";

export interface LayersOptions {
  readonly db: Db;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly workers: Workers;
  readonly log: Log;
}

export interface LayersService extends Layers {
  /** Deletes what was being unpacked when the engine was killed, and what is known of layers that are gone; to be run at daemon start, before anything is unpacked. */
  sweep(): Promise<void>;
}

export function openLayers(options: LayersOptions): LayersService {
  return new LayerStore(options);
}

class LayerStore implements LayersService {
  readonly #options: LayersOptions;
  readonly #unpacking: Unpacking;

  constructor(options: LayersOptions) {
    this.#options = options;
    this.#unpacking = new Unpacking({
      ...options,
      chain: (chainId) => this.chain(chainId),
      recordChain: (chainId, snapshot) => this.recordChain(chainId, snapshot),
    });
  }

  unpack(layers: readonly LayerSource[], options: UnpackOptions): Promise<string | undefined> {
    return this.#unpacking.run(layers, options);
  }

  restore(layer: LayerSource, options: RestoreOptions): Promise<void> {
    return this.#unpacking.restore(layer, options);
  }

  async verify({ diffId, blob }: Pick<LayerSource, "diffId" | "blob">, signal?: AbortSignal): Promise<void> {
    if (blob.digest === diffId) return;
    const { content, workers } = this.#options;
    await workers.run(verifyLayer, { path: content.path(blob.digest), diffId }, signal ? { signal } : {});
  }

  chain(chainId: Digest): string | undefined {
    const name = this.#options.db.read((q) => findChain(q, chainId));
    return name !== undefined && this.#options.snapshots.info(name)?.state === "committed" ? name : undefined;
  }

  recordChain(chainId: Digest, snapshot: string): void {
    this.#options.db.write((tx) => insertChain(tx, chainId, snapshot));
  }

  pack(snapshot: string, options: PackOptions = {}): Promise<PackedLayer> {
    return packSnapshot(this.#options, { snapshot, options });
  }

  async changes(snapshot: string): Promise<{ path: string; kind: "modified" | "added" | "deleted" }[]> {
    const { snapshots, workers } = this.#options;
    const info = snapshots.info(snapshot);
    if (!info) throw new EngineError("not-found", `No such snapshot: ${snapshot}`);
    const lowers = directoriesBelow(snapshots, info.parent);
    const found = await workers.run(listChanges, { directory: snapshots.directory(snapshot), lowers });
    return found.map(({ path, kind }) => ({ path: `/${Buffer.from(path, "latin1")}`, kind }));
  }

  async sweep(): Promise<void> {
    const { snapshots } = this.#options;
    const left = [...snapshots.list()].filter(({ name, state }) => state === "active" && name.startsWith(unpackPrefix));
    for (const { name } of left) await snapshots.remove(name);
    const there = [...snapshots.list()].map(({ name }) => name);
    this.#options.db.write((tx) => dropStale(tx, there));
  }
}
