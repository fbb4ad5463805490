import { type Descriptor, digestOf, mediaTypes } from "../oci/mod.ts";

/** One image for several platforms: an index of their manifests, of the kind that the first of them is. */
export function indexFor(manifests: readonly Descriptor[]): {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
} {
  const isDocker = manifests[0]?.mediaType === mediaTypes.dockerManifest;
  const mediaType = isDocker ? mediaTypes.dockerManifestList : mediaTypes.index;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}
