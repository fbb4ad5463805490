import type { Tx } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import {
  chainIds,
  type Descriptor,
  type Digest,
  decodeConfig,
  type ImageConfig,
  type Manifest,
  mediaTypes,
  type Reference,
  requireSameLayers,
  withDefaultTag,
} from "../oci/mod.ts";
import { type Context, imageOf, nameRow } from "./context.ts";
import type { Image, NewImage } from "./images.ts";
import { imageById, type LayerRow, markTagged, putImage, setName } from "./table.ts";

/** See `Images.register`: writes the config and an OCI manifest, then the rows. */
export function registerImage(context: Context, request: NewImage): Promise<Image> {
  return context.leases.hold(async () => {
    const bytes = encode(request.config);
    const config: Descriptor = {
      mediaType: mediaTypes.config,
      digest: await context.content.put(bytes),
      size: bytes.length,
    };
    const body: Manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config,
      layers: request.layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    };
    const manifestBytes = encode(body);
    const digest = await context.content.put(manifestBytes);
    return recordImage(context, {
      config: bytes,
      manifest: { mediaType: mediaTypes.manifest, digest, size: manifestBytes.length },
      layers: request.layers,
      ...(request.parent && { parent: request.parent }),
      names: request.names ?? [],
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
  /** Runs in the transaction, for events. */
  readonly then?: (tx: Tx, image: Image) => void;
}

/**
 * Makes an image of what is in the content store, unpacking what is not unpacked: rows, names and references in one
 * transaction. To be called under a lease. An image that is there already gets the names and this manifest.
 */
export async function recordImage(context: Context, record: ImageRecord): Promise<Image> {
  const config = decodeConfig(record.config);
  requireSameLayers(record, config);
  const blobs = record.layers.map((layer) => presentBlob(context, layer));
  const snapshot = await unpackMissing(context, config, blobs);
  const layers = await layerRows(context, config, blobs);
  const id = await context.content.put(record.config);
  return context.db.write((tx) => {
    putImage(tx, { ...rowOf(id, config, record), snapshot: snapshot ?? null, size: sum(layers) }, layers);
    for (const name of record.names) setName(tx, nameRow(withDefaultTag(name), id));
    if (record.names.some((name) => !name.digest)) markTagged(tx, id, Date.now());
    const row = imageById(tx, id);
    if (!row) throw new EngineError("internal", `Image ${id} is missing after it was written`);
    const image = imageOf(tx, row);
    record.then?.(tx, image);
    return image;
  });
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

async function unpackMissing(
  context: Context,
  config: ImageConfig,
  blobs: readonly Descriptor[],
): Promise<string | undefined> {
  const chains = chainIds(config.rootfs.diff_ids);
  const top = chains.at(-1);
  if (top === undefined) return undefined;
  if (chains.every((chain) => context.layers.chain(chain) !== undefined)) return context.layers.chain(top);
  const sources = config.rootfs.diff_ids.flatMap((diffId, index) => {
    const blob = blobs[index];
    return blob ? [{ diffId, blob }] : [];
  });
  return context.layers.unpack(sources, { signal: new AbortController().signal });
}

async function layerRows(context: Context, config: ImageConfig, blobs: readonly Descriptor[]): Promise<LayerRow[]> {
  const chains = chainIds(config.rootfs.diff_ids);
  return Promise.all(
    chains.map(async (chain, index) => {
      const blob = blobs[index];
      const snapshot = context.layers.chain(chain);
      if (!blob || snapshot === undefined) throw new EngineError("internal", `Layer ${chain} is not unpacked`);
      const { bytes } = await context.snapshots.usage(snapshot);
      return { chain, media_type: blob.mediaType, digest: blob.digest, blob_size: blob.size, size: bytes };
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

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
