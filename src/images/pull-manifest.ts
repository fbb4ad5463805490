import { EngineError } from "../errors/mod.ts";
import {
  choosePlatform,
  configLimit,
  type Descriptor,
  decodeConfig,
  decodeIndex,
  decodeManifest,
  defaultPlatform,
  digestOf,
  formatPlatform,
  type ImageConfig,
  isIndexType,
  isManifestType,
  type Manifest,
  manifestLimit,
  matchesPlatform,
  parsePlatform,
  type Reference,
  requireImage,
  requireSameLayers,
} from "../oci/mod.ts";
import type { RegistryClient } from "../registry-client/mod.ts";
import { collect } from "../stream/mod.ts";
import type { RemoteFacts, TransferOptions } from "./images.ts";

/** All of a remote image but its layers, verified. */
export interface RemoteImage {
  /** What the name stands for: a manifest, or an index of them. */
  readonly named: Descriptor;
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  readonly config: ImageConfig;
  readonly configBytes: Uint8Array;
}

const maxDepth = 4;

export interface Remote {
  readonly registry: RegistryClient;
  readonly ref: Reference;
  readonly options: TransferOptions;
}

/** Resolves a name to the image for the wanted platform. Throws what the registry client throws, and "invalid" for what is broken. */
export async function readRemote(remote: Remote): Promise<RemoteImage> {
  const { registry, ref, options } = remote;
  const named = await registry.resolve(ref, options);
  const descriptor = await manifestFor(remote, named);
  const manifestBytes = await readSmall(remote, descriptor);
  const manifest = requireImage(decodeManifest(manifestBytes, descriptor.mediaType));
  const configBytes = await readSmall(remote, manifest.config);
  const config = decodeConfig(configBytes);
  requireSameLayers(manifest, config);
  requirePlatform(remote, config);
  return { named, descriptor, manifest, manifestBytes, config, configBytes };
}

/** What a name stands for in a registry, and for which platforms it is; see `ImageTransfer.look`. */
export async function lookAt(remote: Remote): Promise<RemoteFacts> {
  const named = await remote.registry.resolve(remote.ref, remote.options);
  const bytes = await readSmall(remote, named);
  if (isIndexType(named.mediaType)) {
    const entries = decodeIndex(bytes, named.mediaType).manifests;
    return { named, platforms: entries.flatMap(({ platform }) => platform ?? []) };
  }
  const { config } = requireImage(decodeManifest(bytes, named.mediaType));
  const { os, architecture, variant } = decodeConfig(await readSmall(remote, config));
  return { named, platforms: [{ os, architecture, ...(variant && { variant }) }] };
}

async function manifestFor(remote: Remote, named: Descriptor): Promise<Descriptor> {
  const { platform } = remote.options;
  const want = platform ? parsePlatform(platform) : defaultPlatform();
  let current = named;
  for (let depth = 0; isIndexType(current.mediaType) && depth < maxDepth; depth++) {
    const index = decodeIndex(await readSmall(remote, current), current.mediaType);
    const chosen = choosePlatform(index.manifests, want);
    if (!chosen) {
      const text = `no matching manifest for ${formatPlatform(want)} in the manifest list entries`;
      throw new EngineError("not-found", text);
    }
    current = chosen;
  }
  if (isManifestType(current.mediaType)) return current;
  throw new EngineError(
    "invalid",
    `Unsupported media type ${JSON.stringify(current.mediaType.slice(0, 120))} of ${current.digest}`,
  );
}

/** A manifest or config, complete and with the digest that was asked for. */
async function readSmall({ registry, ref, options }: Remote, target: Descriptor): Promise<Uint8Array> {
  const limit = isManifestType(target.mediaType) || isIndexType(target.mediaType) ? manifestLimit : configLimit;
  if (target.size > limit) {
    throw new EngineError("invalid", `${target.digest} has ${target.size} bytes, at most ${limit} are accepted`);
  }
  const bytes = new Uint8Array(await collect(await registry.fetch(ref, target, options), limit));
  const digest = digestOf(bytes);
  if (digest === target.digest && bytes.length === target.size) return bytes;
  const sent = `${bytes.length} bytes with digest ${digest}`;
  throw new EngineError(
    "invalid",
    `manifest verification failed for digest ${target.digest}: the registry sent ${sent}`,
  );
}

function requirePlatform({ ref, options }: Remote, config: ImageConfig): void {
  if (!options.platform || matchesPlatform(parsePlatform(options.platform), config)) return;
  const [wanted, actual] = [formatPlatform(parsePlatform(options.platform)), formatPlatform(config)];
  const name = `${ref.path}${ref.tag ? `:${ref.tag}` : ""}`;
  const text = `image with reference ${name} was found but does not match the specified platform: wanted ${wanted}, actual: ${actual}`;
  throw new EngineError("not-found", text);
}
