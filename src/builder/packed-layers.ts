import type { ContentStore } from "../content/mod.ts";
import type { Db } from "../db/mod.ts";
import type { Layers, PackedLayer } from "../layers/mod.ts";
import { type Digest, mediaTypes } from "../oci/mod.ts";
import type { Snapshotter } from "../snapshots/mod.ts";
import { type LayerRow, layerNames, layerRow, putLayerRow } from "./table.ts";

export interface PackedLayersParts {
  readonly db: Db;
  readonly content: Pick<ContentStore, "info">;
  readonly snapshots: Pick<Snapshotter, "info">;
  readonly layers: Pick<Layers, "restore">;
}

/** Results of steps that are layers only, under the names that their snapshots get when somebody needs those. */
export class PackedLayers {
  readonly #parts: PackedLayersParts;

  constructor(parts: PackedLayersParts) {
    this.#parts = parts;
  }

  record(row: LayerRow): void {
    this.#parts.db.write((tx) => putLayerRow(tx, row));
  }

  /** To be called under a lease, which keeps what is found. */
  find(name: string): (PackedLayer & { readonly bytes: number }) | undefined {
    const row = this.#row(name);
    if (!row) return undefined;
    const { digest, size, bytes } = row;
    return { blob: { mediaType: mediaTypes.layer, digest, size }, diffId: digest, empty: false, bytes };
  }

  /** Snapshots that a layer of this digest stands for. */
  named(digest: Digest): readonly string[] {
    return this.#parts.db.read((q) => layerNames(q, digest));
  }

  /** The result that is this layer on that one, null for none. */
  onTop(parent: string | null, digest: Digest): string | undefined {
    return this.named(digest).find((name) => this.#row(name)?.parent === parent);
  }

  /** Whether the snapshot is there or can be made. */
  has(name: string): boolean {
    return this.#isCommitted(name) || this.#row(name) !== undefined;
  }

  /** Makes the snapshot of that name where it is not there. */
  async unpack(name: string, signal: AbortSignal): Promise<void> {
    const row = this.#isCommitted(name) ? undefined : this.#row(name);
    if (!row) return;
    if (row.parent !== null) await this.unpack(row.parent, signal);
    const blob = { mediaType: mediaTypes.layer, digest: row.digest, size: row.size };
    const layer = { diffId: row.digest, blob };
    await this.#parts.layers.restore(layer, { name, ...(row.parent !== null && { parent: row.parent }), signal });
  }

  #row(name: string): LayerRow | undefined {
    const row = this.#parts.db.read((q) => layerRow(q, name));
    return row && this.#parts.content.info(row.digest) ? row : undefined;
  }

  #isCommitted(name: string): boolean {
    return this.#parts.snapshots.info(name)?.state === "committed";
  }
}
