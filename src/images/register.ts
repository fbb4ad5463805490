import type { Query, Tx } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { UnpackOptions } from "../layers/mod.ts";
import {
  chainIds,
  type Descriptor,
  type Digest,
  decodeConfig,
  digestOf,
  type ImageConfig,
  type Reference,
  requireSameLayers,
  withDefaultTag,
} from "../oci/mod.ts";
import { type Context, imageOf, nameRow } from "./context.ts";
import type { Image, NewImage } from "./images.ts";
import { imageById, isLayerBlob, type LayerRow, layersOf, markTagged, putImage, setName } from "./table.ts";
import { writeManifest } from "./write-manifest.ts";

/** See `Images.register`: writes the config and an OCI manifest, then the rows. */
export function registerImage(context: Context, request: NewImage): Promise<Image> {
  return context.leases.hold(async () => {
    const written = await writeManifest(context.content, request);
    return recordImage(context, {
      ...written,
      layers: request.layers,
      ...(request.parent && { parent: request.parent }),
      names: request.names ?? [],
      ...(request.packed && { packed: request.packed }),
    });
  });
}

export interface ImageRecord {
  readonly config: Uint8Array;
  readonly manifest: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly parent?: Digest;
  /** With tags, or with digests for names that were pulled or pushed. */
  readonly names: readonly Reference[];
  /** An image that is there gets this manifest and these blobs in place of its own: what was pulled last is what is pushed. */
  readonly replace?: boolean;
  readonly unpack?: UnpackOptions;
  /** See `NewImage.packed`. */
  readonly packed?: ReadonlyMap<Digest, number>;
  /** Runs in the transaction, for events. */
  readonly recorded?: (tx: Tx, image: Image) => void;
}

/**
 * Makes an image of what is in the content store, unpacking what is not unpacked: rows, names and references in one
 * transaction. To be called under a lease. An image that is there already gets the names.
 */
export async function recordImage(context: Context, record: ImageRecord): Promise<Image> {
  const config = decodeConfig(record.config);
  requireSameLayers(record, config);
  const blobs = record.layers.map((layer) => presentBlob(context, layer));
  await verifyKnown(context, { config, blobs, unpack: record.unpack });
  const there = presentImage(context, record);
  if (there) return context.db.write((tx) => nameAndTell(tx, there, record));
  const { packed = new Map<Digest, number>() } = record;
  const snapshot = await unpackMissing(context, { config, blobs, unpack: record.unpack, packed });
  const layers = await layerRows(context, { config, blobs, packed });
  const id = await context.content.put(record.config);
  return context.db.write((tx) => {
    if (record.replace || !isComplete(context, tx, id)) {
      putImage(tx, { ...rowOf(id, config, record), snapshot: snapshot ?? null, size: sum(layers) }, layers);
    }
    return nameAndTell(tx, id, record);
  });
}

function nameAndTell(tx: Tx, id: Digest, record: ImageRecord): Image {
  for (const name of record.names) setName(tx, nameRow(withDefaultTag(name), id));
  if (record.names.some((name) => !name.digest)) markTagged(tx, id, Date.now());
  const row = imageById(tx, id);
  if (!row) throw new EngineError("internal", `Image ${id} is missing after it was written`);
  const image = imageOf(tx, row);
  record.recorded?.(tx, image);
  return image;
}

/** The image's id, when it is there already as it would be recorded: nothing of it has to be looked at again. */
function presentImage(context: Context, record: ImageRecord): Digest | undefined {
  const id = digestOf(record.config);
  if (record.replace || record.unpack) return undefined;
  return context.db.read((q) => isComplete(context, q, id)) ? id : undefined;
}

/** True when the image is there with its manifest and all its blobs. */
function isComplete(context: Context, tx: Query, id: Digest): boolean {
  const row = imageById(tx, id);
  if (!row) return false;
  return [row.manifest, ...layersOf(tx, id).map((layer) => layer.digest)].every((digest) =>
    context.content.info(digest),
  );
}

function presentBlob(context: Context, layer: Descriptor): Descriptor {
  const info = context.content.info(layer.digest);
  if (!info) throw new EngineError("not-found", `Layer ${layer.digest} is not in the content store`);
  if (info.size === layer.size) return layer;
  throw new EngineError(
    "invalid",
    `Layer ${layer.digest} has ${info.size} bytes, but its descriptor says ${layer.size}`,
  );
}

interface Unpack {
  readonly config: ImageConfig;
  readonly blobs: readonly Descriptor[];
  readonly unpack: UnpackOptions | undefined;
}

/** Layers that are unpacked already would be taken at their word: a blob that is new for one is hashed. */
async function verifyKnown(context: Context, { config, blobs, unpack }: Unpack): Promise<void> {
  const { diff_ids } = config.rootfs;
  for (const [index, chain] of chainIds(diff_ids).entries()) {
    const [diffId, blob] = [diff_ids[index], blobs[index]];
    if (!diffId || !blob || context.layers.chain(chain) === undefined) continue;
    if (context.db.read((q) => isLayerBlob(q, { chain, digest: blob.digest }))) continue;
    await context.layers.verify({ diffId, blob }, unpack?.signal);
  }
}

async function unpackMissing(
  context: Context,
  { config, blobs, unpack, packed }: Unpack & Packed,
): Promise<string | undefined> {
  const chains = chainIds(config.rootfs.diff_ids);
  const top = chains.at(-1);
  if (top === undefined) return undefined;
  const isThere = (chain: Digest) => context.layers.chain(chain) !== undefined;
  if (chains.every((chain) => isThere(chain) || packed.has(chain))) return context.layers.chain(top);
  const sources = config.rootfs.diff_ids.flatMap((diffId, index) => {
    const blob = blobs[index];
    return blob ? [{ diffId, blob }] : [];
  });
  return context.layers.unpack(sources, unpack ?? { signal: new AbortController().signal });
}

interface Packed {
  readonly packed: ReadonlyMap<Digest, number>;
}

async function layerRows(
  context: Context,
  { config, blobs, packed }: Omit<Unpack, "unpack"> & Packed,
): Promise<LayerRow[]> {
  const chains = chainIds(config.rootfs.diff_ids);
  return Promise.all(
    chains.map(async (chain, index) => {
      const blob = blobs[index];
      const snapshot = context.layers.chain(chain);
      const size = snapshot === undefined ? packed.get(chain) : (await context.snapshots.usage(snapshot)).bytes;
      if (!blob || size === undefined) throw new EngineError("internal", `Layer ${chain} is not unpacked`);
      return { chain, media_type: blob.mediaType, digest: blob.digest, blob_size: blob.size, size };
    }),
  );
}

function rowOf(id: Digest, config: ImageConfig, record: ImageRecord) {
  return {
    id,
    manifest: record.manifest.digest,
    manifest_type: record.manifest.mediaType,
    manifest_size: record.manifest.size,
    config: JSON.stringify(config),
    parent: record.parent && record.parent !== id ? record.parent : null,
    created: config.created ? Date.parse(config.created) : 0,
    tagged: null,
  };
}

function sum(layers: readonly LayerRow[]): number {
  return layers.reduce((total, layer) => total + layer.size, 0);
}
