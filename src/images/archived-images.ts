import { EngineError, wrap } from "../errors/mod.ts";
import {
  choosePlatform,
  type Descriptor,
  decodeIndex,
  decodeManifest,
  defaultPlatform,
  digestOf,
  isIndexType,
  isManifestType,
  mediaTypes,
  type Platform,
  parseReference,
  type Reference,
  requireImage,
} from "../oci/mod.ts";
import { type Archive, type ArchivedFile, fileAt, readFileAt } from "./archive.ts";
import {
  type ArchivedAttestations,
  archivedAttestations,
  attestedDigest,
  nothingAttested,
} from "./archived-attestations.ts";
import { manifestBytes } from "./write-manifest.ts";

/** An image found in an archive, its parts in the content store. */
export interface ArchivedImage {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly names: readonly Reference[];
  readonly attested: ArchivedAttestations;
}

const maxImages = 10_000;
const maxDepth = 4;

/**
 * The images of an archive: by `manifest.json` (docker), `index.json` (OCI layout), or both, as docker has written since
 * version 25. With both, manifests are the OCI layout's and names are docker's. Throws "invalid" naming the place.
 */
export async function archivedImages(archive: Archive, platform: Platform | undefined): Promise<ArchivedImage[]> {
  const docker = await readFileAt(archive, "manifest.json");
  const index = await readFileAt(archive, "index.json");
  if (docker) {
    const known = index ? await ociImages(archive, index, undefined).catch(() => []) : [];
    return dockerImages(archive, docker, known);
  }
  if (index) return ociImages(archive, index, platform ?? defaultPlatform());
  if (archive.files.has("repositories")) {
    throw new EngineError(
      "not-implemented",
      "Image archives without manifest.json (from before Docker 1.10) are not supported",
    );
  }
  throw new EngineError("invalid", "Not an image archive: there is neither manifest.json nor index.json");
}

async function dockerImages(
  archive: Archive,
  bytes: Uint8Array,
  known: readonly ArchivedImage[],
): Promise<ArchivedImage[]> {
  const images: ArchivedImage[] = [];
  for (const [index, item] of listOf(bytes, "manifest.json").entries()) {
    const at = `manifest.json[${index}]`;
    const { Config, RepoTags, Layers } = (item ?? {}) as { Config?: unknown; RepoTags?: unknown; Layers?: unknown };
    if (typeof Config !== "string") throw new EngineError("invalid", `${at}.Config: a path is expected`);
    const layers = textsOf(Layers, `${at}.Layers`).map((path, layer) =>
      layerOf(fileAt(archive, path, `${at}.Layers[${layer}]`), path),
    );
    const { digest, size } = fileAt(archive, Config, `${at}.Config`);
    const config = { mediaType: mediaTypes.config, digest, size };
    const names = textsOf(RepoTags, `${at}.RepoTags`).map((text, tag) => nameOf(text, `${at}.RepoTags[${tag}]`));
    const written = known.find((image) => image.config.digest === digest && sameBlobs(image.layers, layers));
    images.push({ ...(written ?? (await withManifest(archive, { config, layers }))), names });
  }
  return images;
}

/** A manifest for an image that came without one. */
async function withManifest(archive: Archive, image: { config: Descriptor; layers: readonly Descriptor[] }) {
  const bytes = manifestBytes({ mediaType: mediaTypes.manifest, config: image.config, layers: image.layers });
  const digest = await archive.content.put(bytes);
  const manifest = { mediaType: mediaTypes.manifest, digest, size: bytes.length };
  return { ...image, manifest, attested: nothingAttested };
}

/** Every manifest that an OCI index leads to; of nested indexes the entry for `platform`, or all of them when it is undefined. */
async function ociImages(
  archive: Archive,
  bytes: Uint8Array,
  platform: Platform | undefined,
): Promise<ArchivedImage[]> {
  const found = new Map<string, ArchivedImage>();
  const seen: Walk["seen"] = new Map();
  const attestations: Walk["attestations"] = new Map();
  for (const entry of decodeIndex(bytes).manifests) {
    for (const manifest of await manifestsOf(archive, entry, { platform, depth: 0, seen, attestations })) {
      const image = found.get(manifest.digest) ?? (await ociImage(archive, manifest, attestations));
      const names = [...(found.get(manifest.digest)?.names ?? []), ...annotatedNames(entry)];
      found.set(manifest.digest, { ...image, names });
    }
  }
  return [...found.values()];
}

interface Walk {
  readonly platform: Platform | undefined;
  readonly depth: number;
  /** What each index was found to lead to: indexes that name one another many times would take for ever. */
  readonly seen: Map<string, Promise<Descriptor[]>>;
  /** Found on the way: what says something about a manifest, by that one's digest. */
  readonly attestations: Map<string, Descriptor>;
}

async function manifestsOf(archive: Archive, entry: Descriptor, walk: Walk): Promise<Descriptor[]> {
  if (isManifestType(entry.mediaType)) return [entry];
  if (!isIndexType(entry.mediaType)) {
    throw new EngineError(
      "invalid",
      `index.json: unsupported media type ${JSON.stringify(entry.mediaType.slice(0, 100))}`,
    );
  }
  if (walk.depth === maxDepth) throw new EngineError("invalid", "index.json: indexes are nested too deeply");
  const key = `${walk.depth} ${entry.digest}`;
  const known = walk.seen.get(key) ?? inIndex(archive, entry, walk);
  walk.seen.set(key, known);
  return known;
}

async function inIndex(archive: Archive, entry: Descriptor, walk: Walk): Promise<Descriptor[]> {
  const { platform, depth } = walk;
  const index = decodeIndex(await blobBytes(archive, entry), entry.mediaType);
  for (const one of index.manifests) {
    const about = attestedDigest(one);
    if (about !== undefined) walk.attestations.set(about, one);
  }
  const there = index.manifests.filter((one) => archive.files.has(pathOf(one)) && one.platform?.os !== "unknown");
  const chosen = platform ? choosePlatform(there, platform) : undefined;
  if (platform && !chosen) {
    const wanted = `${platform.os}/${platform.architecture}`;
    throw new EngineError("not-found", `no matching manifest for ${wanted} in the archive's index ${entry.digest}`);
  }
  const next = chosen ? [chosen] : there;
  const lists = await Promise.all(next.map((one) => manifestsOf(archive, one, { ...walk, depth: depth + 1 })));
  return [...new Map(lists.flat().map((one) => [one.digest, one])).values()];
}

async function ociImage(
  archive: Archive,
  entry: Descriptor,
  attestations: Walk["attestations"],
): Promise<Omit<ArchivedImage, "names">> {
  const said = attestations.get(entry.digest);
  const attested = said ? await archivedAttestations(archive, { entry: said, image: entry.digest }) : nothingAttested;
  const bytes = await blobBytes(archive, entry);
  try {
    const { config, layers } = requireImage(decodeManifest(bytes, entry.mediaType));
    for (const blob of [config, ...layers]) requireBlob(archive, blob);
    const manifest = { mediaType: entry.mediaType, digest: entry.digest, size: entry.size };
    return { manifest, config, layers, attested };
  } catch (err) {
    throw wrap(err, pathOf(entry));
  }
}

async function blobBytes(archive: Archive, blob: Descriptor): Promise<Uint8Array> {
  requireBlob(archive, blob);
  const bytes = await readFileAt(archive, pathOf(blob));
  if (!bytes || digestOf(bytes) !== blob.digest)
    throw new EngineError("invalid", `${pathOf(blob)} is not in the archive`);
  return bytes;
}

/** A layer may be left out of an archive when it is here already, as `docker save` of several images never does but buildkit may. */
function requireBlob(archive: Archive, blob: Descriptor): void {
  const file = archive.files.get(pathOf(blob)) ?? archive.content.info(blob.digest);
  if (!file) throw new EngineError("invalid", `${pathOf(blob)} is not in the archive`);
  if (file.size !== blob.size) {
    throw new EngineError("invalid", `${pathOf(blob)} has ${file.size} bytes, but its descriptor says ${blob.size}`);
  }
}

/** `io.containerd.image.name` is a whole name; `org.opencontainers.image.ref.name` may be one, or only a tag. */
function annotatedNames({ annotations }: Descriptor): Reference[] {
  const whole = annotations?.["io.containerd.image.name"];
  const ref = annotations?.["org.opencontainers.image.ref.name"];
  if (whole) return [nameOf(whole, "index.json: io.containerd.image.name")];
  return ref && /[:/]/.test(ref) ? [nameOf(ref, "index.json: org.opencontainers.image.ref.name")] : [];
}

function layerOf({ digest, size, compression }: ArchivedFile, path: string): Descriptor {
  switch (compression) {
    case "none":
      return { mediaType: mediaTypes.layer, digest, size };
    case "gzip":
      return { mediaType: mediaTypes.layerGzip, digest, size };
    case "zstd":
      return { mediaType: mediaTypes.layerZstd, digest, size };
    case "bzip2":
    case "xz":
      throw new EngineError("not-implemented", `${path}: layers compressed with ${compression} are not supported`);
    default:
      return compression satisfies never;
  }
}

function listOf(bytes: Uint8Array, at: string): unknown[] {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (err) {
    throw new EngineError("invalid", `${at}: invalid JSON`, { cause: err });
  }
  if (!Array.isArray(json) || json.length > maxImages)
    throw new EngineError("invalid", `${at}: an array of images is expected`);
  return json;
}

function textsOf(value: unknown, at: string): string[] {
  const list = value ?? [];
  if (!Array.isArray(list)) throw new EngineError("invalid", `${at}: an array is expected`);
  for (const [index, text] of list.entries()) {
    if (typeof text !== "string") throw new EngineError("invalid", `${at}[${index}]: a string is expected`);
  }
  return list;
}

function nameOf(text: string, at: string): Reference {
  try {
    const { domain, path, tag } = parseReference(text);
    return { domain, path, tag: tag ?? "latest" };
  } catch (err) {
    throw wrap(err, at);
  }
}

function sameBlobs(a: readonly Descriptor[], b: readonly Descriptor[]): boolean {
  return a.length === b.length && a.every((layer, index) => layer.digest === b[index]?.digest);
}

function pathOf({ digest }: Descriptor): string {
  return `blobs/${digest.replace(":", "/")}`;
}
