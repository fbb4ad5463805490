import { EngineError } from "../../errors/mod.ts";
import {
  choosePlatform,
  configLimit,
  type Descriptor,
  decodeIndex,
  decodeManifest,
  digestOf,
  isIndexType,
  manifestLimit,
  type Platform,
  requireImage,
} from "../../oci/mod.ts";
import { collect } from "../../stream/mod.ts";
import { decodeCache, decodeInline } from "./decode.ts";
import { cacheConfigType, type RemoteCache } from "./format.ts";
import type { CacheReader } from "./place.ts";

/** Indices in indices. */
const maxDepth = 4;

/**
 * Reads what a cache holds, without its layers: a cache of its own, in either of BuildKit's forms, or the one in an image's
 * config. Everything is verified. Throws "invalid" for what is broken or is no cache, "not-found" for no image of the platform.
 */
export async function readCache(reader: CacheReader, platform: Platform): Promise<RemoteCache> {
  let at = await reader.root();
  for (let depth = 0; depth < maxDepth; depth++) {
    const bytes = await readSmall(reader, at, manifestLimit);
    if (!isIndex(bytes, at)) return await ofManifest(reader, bytes, at);
    const { manifests } = decodeIndex(bytes, at.mediaType || undefined);
    const config = manifests.find(({ mediaType }) => mediaType === cacheConfigType);
    if (config) return decodeCache(await readSmall(reader, config, configLimit), manifests);
    const chosen = choosePlatform(manifests, platform);
    if (!chosen) throw new EngineError("not-found", `${at.digest} has neither a cache nor an image for this platform`);
    at = chosen;
  }
  throw new EngineError("invalid", `${at.digest}: more than ${maxDepth} indices in each other`);
}

async function ofManifest(reader: CacheReader, bytes: Uint8Array, at: Descriptor): Promise<RemoteCache> {
  const manifest = decodeManifest(bytes, at.mediaType || undefined);
  if (manifest.config.mediaType === cacheConfigType)
    return decodeCache(await readSmall(reader, manifest.config, configLimit), manifest.layers);
  return decodeInline(await readSmall(reader, requireImage(manifest).config, configLimit), manifest);
}

/** Directories do not say what a manifest is. */
function isIndex(bytes: Uint8Array, { mediaType }: Descriptor): boolean {
  if (mediaType !== "") return isIndexType(mediaType);
  try {
    return "manifests" in JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return false; // decoding says what is wrong with it
  }
}

async function readSmall(reader: CacheReader, target: Descriptor, limit: number): Promise<Uint8Array> {
  const { digest, size } = target;
  if (size > limit) throw new EngineError("invalid", `${digest} has ${size} bytes, at most ${limit} are accepted`);
  const bytes = await collect(await reader.read(target), limit);
  const sent = digestOf(bytes);
  if (sent === digest) return bytes;
  throw new EngineError("invalid", `verification failed for digest ${digest}: ${sent} was sent`);
}
