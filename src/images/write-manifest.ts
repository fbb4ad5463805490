import type { ContentStore } from "../content/mod.ts";
import { type Descriptor, type ImageConfig, type Manifest, mediaTypes } from "../oci/mod.ts";

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
  const bytes = manifestBytes(descriptor, image.layers);
  return { config, manifest: { mediaType: mediaTypes.manifest, digest: await content.put(bytes), size: bytes.length } };
}

/** An OCI manifest. */
export function manifestBytes(config: Descriptor, layers: readonly Descriptor[]): Uint8Array {
  const body: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: plain(config),
    layers: layers.map(plain),
  };
  return encode(body);
}

function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
