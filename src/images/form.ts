import type { KeyedLock } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { type Descriptor, mediaTypes } from "../oci/mod.ts";
import { type Bytes, compress, decompress } from "../stream/mod.ts";
import { compressLayer, isPlain } from "./compress-layer.ts";
import type { Context } from "./context.ts";
import type { ImageForm } from "./images.ts";

export interface FormParts {
  readonly context: Context;
  /** By digest of the plain layer. */
  readonly compressing: KeyedLock;
}

/** Throws "invalid" for a form that there is not. */
export function requireForm({ compression, level, mediaTypes: types }: ImageForm): void {
  if (compression === "zstd" && types === "docker") {
    throw new EngineError("invalid", "docker's media types have none for zstd: use oci-mediatypes=true");
  }
  const most = compression === "zstd" ? 22 : 9;
  if (level === undefined || (Number.isInteger(level) && level >= 0 && level <= most)) return;
  throw new EngineError("invalid", `compression-level ${level} is not between 0 and ${most}`);
}

/** The layer as it is in this form, in the content store. To be called under a lease. */
export async function formLayer(
  parts: FormParts,
  layer: Descriptor,
  { form, signal }: { readonly form: ImageForm; readonly signal: AbortSignal },
): Promise<Descriptor> {
  if (isPlain(layer)) return typed(await packLayer(parts, layer, { form, signal }), form);
  if (!form.force || compressionOf(layer) === form.compression) return typed(layer, form);
  const { content } = parts.context;
  const plain = await kept(parts, decompress(content.open(layer.digest)), signal);
  return typed(await packLayer(parts, { ...plain, mediaType: mediaTypes.layer }, { form, signal }), form);
}

function compressionOf({ mediaType }: Descriptor): ImageForm["compression"] {
  return mediaType === mediaTypes.layerZstd ? "zstd" : "gzip";
}

async function kept(
  { context }: FormParts,
  bytes: Bytes,
  signal: AbortSignal,
): Promise<Pick<Descriptor, "digest" | "size">> {
  await using ingest = await context.content.ingest();
  for await (const piece of bytes) {
    signal.throwIfAborted();
    await ingest.write(piece);
  }
  return await ingest.commit();
}

async function packLayer(
  parts: FormParts,
  layer: Descriptor,
  { form, signal }: { readonly form: ImageForm; readonly signal: AbortSignal },
): Promise<Descriptor> {
  const { compression, level } = form;
  if (compression === "uncompressed") return layer;
  if (compression === "gzip" && level === undefined) return compressLayer(parts, layer, signal);
  const options = level === undefined ? {} : { level };
  const packed = compress(parts.context.content.open(layer.digest), compression, options);
  const mediaType = compression === "zstd" ? mediaTypes.layerZstd : mediaTypes.layerGzip;
  return { mediaType, ...(await kept(parts, packed, signal)) };
}

const dockerTypes: Readonly<Record<string, string>> = {
  [mediaTypes.manifest]: mediaTypes.dockerManifest,
  [mediaTypes.config]: mediaTypes.dockerConfig,
  [mediaTypes.layer]: mediaTypes.dockerLayer,
  [mediaTypes.layerGzip]: mediaTypes.dockerLayerGzip,
};
const ociTypes = Object.fromEntries(Object.entries(dockerTypes).map(([oci, docker]) => [docker, oci]));

/** A config, a layer or a manifest under the form's own media type. Throws "invalid" for a layer that has none there. */
export function typed<T extends { readonly mediaType: string }>(one: T, { mediaTypes: types }: ImageForm): T {
  if (types === undefined) return one;
  if (types === "oci") return { ...one, mediaType: ociTypes[one.mediaType] ?? one.mediaType };
  if (one.mediaType === mediaTypes.layerZstd) requireForm({ compression: "zstd", mediaTypes: types });
  return { ...one, mediaType: dockerTypes[one.mediaType] ?? one.mediaType };
}
