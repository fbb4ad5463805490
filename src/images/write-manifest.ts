import type { ContentStore } from "../content/mod.ts";
import { type Descriptor, type ImageConfig, type Manifest, mediaTypes } from "../oci/mod.ts";
import { typed } from "./form.ts";
import type { ImageForm } from "./images.ts";

export interface WrittenImage {
  /** The config's bytes, whose digest is the image's id. */
  readonly config: Uint8Array;
  readonly manifest: Descriptor;
}

/** Writes an image's config and an OCI manifest for it into the store. The same image gives the same bytes. */
export async function writeManifest(
  content: Pick<ContentStore, "put">,
  image: { readonly config: ImageConfig; readonly layers: readonly Descriptor[] },
): Promise<WrittenImage> {
  const config = encode(image.config);
  const descriptor = { mediaType: mediaTypes.config, digest: await content.put(config), size: config.length };
  const bytes = manifestBytes({ mediaType: mediaTypes.manifest, config: descriptor, layers: image.layers });
  return { config, manifest: { mediaType: mediaTypes.manifest, digest: await content.put(bytes), size: bytes.length } };
}

export interface StoredManifest {
  readonly stored: Uint8Array;
  readonly type: string;
  readonly manifest: Manifest;
}

/** The manifest with these layers in their places: the very same bytes unless that changes anything. */
export function formManifest(
  { stored, type, manifest }: StoredManifest,
  { layers, form }: { readonly layers: readonly Descriptor[]; readonly form: ImageForm },
): { readonly bytes: Uint8Array; readonly mediaType: string } {
  const config = typed(manifest.config, form);
  const isSame = (one: Descriptor, other: Descriptor | undefined) =>
    one.digest === other?.digest && one.mediaType === other.mediaType;
  const unchanged = layers.every((layer, index) => isSame(layer, manifest.layers[index]));
  const mediaType = typed({ mediaType: unchanged ? type : mediaTypes.manifest }, form).mediaType;
  if (unchanged && isSame(config, manifest.config) && mediaType === type) return { bytes: stored, mediaType };
  return { bytes: manifestBytes({ mediaType, config, layers }), mediaType };
}

/** A manifest of this media type. */
export function manifestBytes({
  mediaType,
  config,
  layers,
}: Pick<Manifest, "config" | "layers"> & { readonly mediaType: string }): Uint8Array {
  const body: Manifest = { schemaVersion: 2, mediaType, config: plain(config), layers: layers.map(plain) };
  return encode(body);
}

function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
