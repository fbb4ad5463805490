import type { ClientStore } from "../builder/mod.ts";
import { EngineError } from "../errors/mod.ts";
import {
  children,
  choosePlatform,
  configLimit,
  type Descriptor,
  type Digest,
  decodeIndex,
  defaultPlatform,
  isDigest,
  isIndexType,
  manifestLimit,
  mediaTypes,
  parsePlatform,
} from "../oci/mod.ts";
import { type Bytes, collect, fromBuffer, readTar, type TarEntry, writeTar } from "../stream/mod.ts";

/** Indices below indices that are looked into. */
const deepest = 4;

export interface LayoutImage {
  /** Of a manifest, or of an index. */
  readonly digest: Digest;
  readonly platform: string | undefined;
  readonly signal: AbortSignal;
}

/** An image of a client's content store as an archive in OCI's layout, which whoever loads it verifies. Throws "not-found". */
export async function layoutArchive(store: ClientStore, image: LayoutImage): Promise<Bytes> {
  const { signal } = image;
  const { manifest, bytes } = await manifestOf(store, image);
  const blobs = children(bytes, manifest.mediaType);
  const [config] = blobs;
  if (config && config.size > configLimit) throw new EngineError("invalid", `${config.digest} is no image's config`);
  const entries = async function* (): AsyncGenerator<TarEntry> {
    yield entry(pathOf(manifest.digest), { size: bytes.length, content: fromBuffer(bytes) });
    const each = new Map(blobs.map((blob) => [blob.digest, blob]));
    for (const blob of each.values()) yield entry(pathOf(blob.digest), { ...blob, content: store.read(blob, signal) });
    const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [manifest] };
    for (const [name, json] of Object.entries({ "index.json": index, "oci-layout": { imageLayoutVersion: "1.0.0" } })) {
      const text = Buffer.from(JSON.stringify(json));
      yield entry(name, { size: text.length, content: fromBuffer(text) });
    }
  };
  return writeTar(entries());
}

async function manifestOf(
  store: ClientStore,
  { digest, platform, signal }: LayoutImage,
): Promise<{ manifest: Descriptor; bytes: Uint8Array }> {
  const want = platform === undefined ? defaultPlatform() : parsePlatform(platform);
  let at = digest;
  for (let depth = 0; depth < deepest; depth++) {
    const bytes = await small(store, at, signal);
    const mediaType = typeOf(bytes);
    if (!isIndexType(mediaType)) return { manifest: { mediaType, digest: at, size: bytes.length }, bytes };
    const chosen = choosePlatform(decodeIndex(bytes, mediaType).manifests, want);
    if (!chosen) throw new EngineError("not-found", `${digest} has no image for this platform`);
    at = chosen.digest;
  }
  throw new EngineError("invalid", `${digest} has indices in indices`);
}

async function small(store: ClientStore, digest: Digest, signal: AbortSignal): Promise<Uint8Array> {
  const size = await store.size(digest, signal);
  if (size === undefined) throw new EngineError("not-found", `the client does not have ${digest}`);
  if (size > manifestLimit) throw new EngineError("invalid", `${digest} is no manifest: it has ${size} bytes`);
  return collect(store.read({ mediaType: "", digest, size }, signal), manifestLimit);
}

/** What it says of itself; older OCI manifests and indices may say nothing. */
function typeOf(bytes: Uint8Array): string {
  try {
    const { mediaType, manifests } = JSON.parse(Buffer.from(bytes).toString("utf8")) as Record<string, unknown>;
    if (typeof mediaType === "string") return mediaType;
    return manifests === undefined ? mediaTypes.manifest : mediaTypes.index;
  } catch (err) {
    throw new EngineError("invalid", "the client's image is no JSON", { cause: err });
  }
}

/**
 * Writes the blobs of an archive in OCI's layout into a client's content store. Returns what the archive's own index lists,
 * for the client to write its index.
 */
export async function writeLayout(store: ClientStore, archive: Bytes, signal: AbortSignal): Promise<Descriptor> {
  let listed: Descriptor | undefined;
  for await (const { header, content } of readTar(archive)) {
    const name = Buffer.from(header.name).toString("utf8");
    const digest = name.replace(/^blobs\/sha256\//, "sha256:");
    if (name === "index.json") listed = decodeIndex(await collect(content, manifestLimit)).manifests[0];
    else if (isDigest(digest)) await store.write({ mediaType: "", digest, size: Number(header.size) }, content, signal);
  }
  if (!listed) throw new EngineError("internal", "an archive without an image");
  return listed;
}

function entry(name: string, { size, content }: { readonly size: number; readonly content: Bytes }): TarEntry {
  const plain = { type: "file", mode: 0o644, uid: 0, gid: 0, mtime: 0n } as const;
  return { header: { ...plain, name: Buffer.from(name), size: BigInt(size) }, content };
}

function pathOf(digest: Digest): string {
  return `blobs/${digest.replace(":", "/")}`;
}
