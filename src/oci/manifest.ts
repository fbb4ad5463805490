import { EngineError } from "../errors/mod.ts";
import { type Descriptor, type Index, type Manifest, mediaTypes, type Platform } from "./image.ts";
import {
  arrayAt,
  asObject,
  digestFrom,
  invalid,
  type Json,
  objectAt,
  parseObject,
  present,
  required,
  sizeAt,
  stringAt,
  stringMapAt,
} from "./shape.ts";

/** The size registries agree on for manifests: 4 MiB (OCI distribution-spec, "Pushing Manifests"). */
export const manifestLimit = 4 * 1024 * 1024;

const manifestTypes: readonly string[] = [mediaTypes.manifest, mediaTypes.dockerManifest];
const indexTypes: readonly string[] = [mediaTypes.index, mediaTypes.dockerManifestList];
const layerTypes: readonly string[] = [
  mediaTypes.layer,
  mediaTypes.layerGzip,
  mediaTypes.layerZstd,
  mediaTypes.dockerLayer,
  mediaTypes.dockerLayerGzip,
];

export function isManifestType(mediaType: string): boolean {
  return manifestTypes.includes(mediaType);
}

export function isIndexType(mediaType: string): boolean {
  return indexTypes.includes(mediaType);
}

/** True for the layers that Berth can unpack: plain tar, gzip, zstd. */
export function isLayerType(mediaType: string): boolean {
  return layerTypes.includes(mediaType);
}

/** Decodes an image manifest, OCI or Docker schema 2. Throws "invalid" naming the place. Any artifact passes; what an image must be besides, {@link requireImage} says. */
export function decodeManifest(bytes: Uint8Array, mediaType?: string): Manifest {
  const json = parseObject(bytes, { what: "manifest", limit: manifestLimit });
  const declared = checkMediaType(json, { what: "manifest", mediaType, accepted: manifestTypes });
  const layers = arrayAt(json, "layers", "manifest") ?? [];
  const subject = objectAt(json, "subject", "manifest");
  return present({
    schemaVersion: 2 as const,
    mediaType: declared,
    artifactType: stringAt(json, "artifactType", "manifest"),
    config: decodeDescriptor(required(objectAt(json, "config", "manifest"), "manifest.config"), "manifest.config"),
    layers: layers.map((layer, index) => decodeDescriptor(layer, `manifest.layers[${index}]`)),
    subject: subject && decodeDescriptor(subject, "manifest.subject"),
    annotations: stringMapAt(json, "annotations", "manifest"),
  }) as Manifest;
}

/** Decodes an image index or a Docker manifest list. Throws "invalid" naming the place. */
export function decodeIndex(bytes: Uint8Array, mediaType?: string): Index {
  const json = parseObject(bytes, { what: "index", limit: manifestLimit });
  const declared = checkMediaType(json, { what: "index", mediaType, accepted: indexTypes });
  const manifests = required(arrayAt(json, "manifests", "index"), "index.manifests");
  const subject = objectAt(json, "subject", "index");
  return present({
    schemaVersion: 2 as const,
    mediaType: declared,
    artifactType: stringAt(json, "artifactType", "index"),
    manifests: manifests.map((entry, index) => decodeDescriptor(entry, `index.manifests[${index}]`)),
    subject: subject && decodeDescriptor(subject, "index.subject"),
    annotations: stringMapAt(json, "annotations", "index"),
  }) as Index;
}

export function decodeDescriptor(value: unknown, at: string): Descriptor {
  const json = asObject(value, at);
  const platform = objectAt(json, "platform", at);
  return present({
    mediaType: required(stringAt(json, "mediaType", at), `${at}.mediaType`),
    digest: digestFrom(json["digest"], `${at}.digest`),
    size: required(sizeAt(json, "size", at), `${at}.size`),
    platform: platform && decodePlatform(platform, `${at}.platform`),
    annotations: stringMapAt(json, "annotations", at),
    artifactType: stringAt(json, "artifactType", at),
  }) as Descriptor;
}

export function decodePlatform(json: Json, at: string): Platform {
  const variant = stringAt(json, "variant", at);
  return {
    os: required(stringAt(json, "os", at), `${at}.os`),
    architecture: required(stringAt(json, "architecture", at), `${at}.architecture`),
    ...(variant && { variant }),
  };
}

/**
 * Says no to a manifest that is not a runnable image's: a foreign config or layer media type is refused by name.
 * Returns it for convenience.
 */
export function requireImage(manifest: Manifest): Manifest {
  const { config, layers } = manifest;
  if (config.mediaType !== mediaTypes.config && config.mediaType !== mediaTypes.dockerConfig) {
    throw invalid("manifest.config.mediaType", `unsupported media type ${shown(config.mediaType)}`);
  }
  for (const [index, layer] of layers.entries()) {
    if (isLayerType(layer.mediaType)) continue;
    throw invalid(`manifest.layers[${index}].mediaType`, `unsupported media type ${shown(layer.mediaType)}`);
  }
  return manifest;
}

/**
 * What a manifest or index refers to, its own config first: what must be there for it to be complete. The `subject`, which
 * may be absent by specification, is not among them. Empty for media types that hold no references. Throws "invalid".
 */
export function children(bytes: Uint8Array, mediaType: string): Descriptor[] {
  if (isManifestType(mediaType)) {
    const manifest = decodeManifest(bytes, mediaType);
    return [manifest.config, ...manifest.layers];
  }
  return isIndexType(mediaType) ? [...decodeIndex(bytes, mediaType).manifests] : [];
}

interface Expected {
  readonly what: string;
  readonly mediaType: string | undefined;
  readonly accepted: readonly string[];
}

/** The body's own media type must be one we know and the one it came under: two readings of one digest are an attack (GHSA-77vh-xpmg-72qh). */
function checkMediaType(json: Json, expected: Expected): string | undefined {
  const { what, mediaType, accepted } = expected;
  const declared = stringAt(json, "mediaType", what);
  if (json["schemaVersion"] !== 2) {
    throw invalid(`${what}.schemaVersion`, `2 is expected, not ${shown(json["schemaVersion"])}`);
  }
  const effective = declared ?? mediaType;
  if (effective !== undefined && !accepted.includes(effective)) {
    throw new EngineError("invalid", `${what}: unsupported media type ${shown(effective)}`);
  }
  if (declared !== undefined && mediaType !== undefined && declared !== mediaType) {
    throw invalid(`${what}.mediaType`, `${shown(declared)} inside, but sent as ${shown(mediaType)}`);
  }
  if (json["manifests"] !== undefined && (json["layers"] !== undefined || json["config"] !== undefined)) {
    throw invalid(what, "both an index and a manifest");
  }
  return declared;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 120);
}
