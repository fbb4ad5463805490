import { EngineError } from "../../errors/mod.ts";
import {
  configLimit,
  type Descriptor,
  type Digest,
  decodeConfig,
  isDigest,
  isLayerType,
  type Manifest,
  mediaTypes,
  requireSameLayers,
} from "../../oci/mod.ts";
import { inlineEntries } from "../inline-cache.ts";
import { annotations, type CacheLayer, type CacheStep, onTop, type RemoteCache } from "./format.ts";

/** More than any build has; a chain as long as that would be no file system any more. */
const most = { layers: 10_000, records: 100_000, depth: 1000 };

interface LayerEntry {
  readonly blob?: unknown;
  readonly parent?: unknown;
}

interface RecordEntry {
  readonly digest?: unknown;
  readonly layers?: unknown;
  readonly inputs?: unknown;
  readonly created?: unknown;
}

/**
 * Records of a cache's config. `blobs`: what its manifest has. What is somebody else's record, or stands on a blob that the
 * manifest does not have, is passed over. Throws "invalid" for what is no such config.
 */
export function decodeCache(config: Uint8Array, blobs: readonly Descriptor[]): RemoteCache {
  const { layers: given, records } = parsed(config);
  const layers = chained(given, new Map(blobs.map((blob) => [blob.digest, blob])));
  const steps = new Map<Digest, CacheStep>();
  for (const record of records) {
    const { digest } = record;
    const step = typeof digest === "string" && isDigest(digest) ? stepOf(record, layers) : undefined;
    if (step) steps.set(digest as Digest, step);
  }
  return { steps, whole: false };
}

function parsed(config: Uint8Array): { layers: readonly LayerEntry[]; records: readonly RecordEntry[] } {
  if (config.length > configLimit) throw broken(`its config has ${config.length} bytes`);
  const json = objectOf(parse(config));
  const list = <T>(name: "layers" | "records"): readonly T[] => {
    const value = json?.[name] ?? [];
    if (!Array.isArray(value) || !value.every(objectOf)) throw broken(`its ${name} are no list of objects`);
    if (value.length > most[name]) throw broken(`it has ${value.length} ${name}, at most ${most[name]} are read`);
    return value;
  };
  if (!json) throw broken("its config is no object");
  return { layers: list<LayerEntry>("layers"), records: list<RecordEntry>("records") };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (err) {
    throw new EngineError("invalid", "cache: its config is no JSON", { cause: err });
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return value as Readonly<Record<string, unknown>>;
}

/** Each layer with its chain; undefined where a blob is missing. */
function chained(
  given: readonly LayerEntry[],
  blobs: ReadonlyMap<string, Descriptor>,
): readonly (CacheLayer | undefined)[] {
  const made = new Map<number, CacheLayer | undefined>();
  for (const start of given.keys()) {
    const path: number[] = [];
    for (let at = start; at !== -1 && !made.has(at); at = parentOf(given, at)) {
      if (path.push(at) > most.depth)
        throw broken(`its layers go round in a circle, or are more than ${most.depth} deep`);
    }
    for (const at of path.reverse()) {
      const parent = parentOf(given, at);
      const below = parent === -1 ? "" : made.get(parent)?.chain;
      const blob = blobs.get(String(given[at]?.blob));
      made.set(at, below === undefined || !blob ? undefined : layerOf(blob, below));
    }
  }
  return [...given.keys()].map((at) => made.get(at));
}

/** -1 for none; BuildKit leaves out a 0. */
function parentOf(given: readonly LayerEntry[], at: number): number {
  const { parent = 0 } = given[at] ?? {};
  if (Number.isInteger(parent) && (parent as number) >= -1 && (parent as number) < given.length)
    return parent as number;
  throw broken(`layer ${at} stands on ${JSON.stringify(parent)?.slice(0, 40)}, which is none`);
}

function layerOf(blob: Descriptor, below: CacheLayer["below"]): CacheLayer | undefined {
  const told = blob.annotations?.[annotations.diffId];
  const diffId = told ?? (isPlain(blob) ? blob.digest : "");
  if (!isLayerType(blob.mediaType) || !isDigest(diffId)) return undefined;
  const [size, bytes] = [numberOf(blob, annotations.size), numberOf(blob, annotations.bytes)];
  return {
    ...{ blob, diffId, below, chain: onTop(below, diffId) },
    ...(size !== undefined && { size }),
    ...(bytes !== undefined && { bytes }),
  };
}

/** True for a layer that is plain tar. */
export function isPlain({ mediaType }: Descriptor): boolean {
  return mediaType === mediaTypes.layer || mediaType === mediaTypes.dockerLayer;
}

function numberOf({ annotations: all }: Descriptor, name: string): number | undefined {
  const text = all?.[name] ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** BuildKit's records have inputs where they stand on others; ours never do, since a portable key has all in it. */
function stepOf(
  { layers: results, inputs, created }: RecordEntry,
  layers: readonly (CacheLayer | undefined)[],
): CacheStep | undefined {
  if (inputs !== undefined) return undefined;
  if (results === undefined) return typeof created === "string" ? { created: timeOf(created) } : undefined;
  const first: unknown = Array.isArray(results) ? results[0] : undefined;
  const result = objectOf(first);
  const layer = layers[Number(result?.["layer"])];
  return layer && { layer, created: timeOf(result?.["createdAt"]) };
}

function timeOf(value: unknown): number {
  return (typeof value === "string" && Date.parse(value)) || 0;
}

/** What the config of an image says of the steps that made its layers. */
export function decodeInline(config: Uint8Array, { layers }: Pick<Manifest, "layers">): RemoteCache {
  const image = decodeConfig(config);
  requireSameLayers({ layers }, image);
  const chain: CacheLayer[] = [];
  for (const [at, diffId] of image.rootfs.diff_ids.entries()) {
    const below = chain.at(-1)?.chain ?? "";
    const blob = layers[at];
    if (blob) chain.push({ blob, diffId, below, chain: onTop(below, diffId) });
  }
  const created = timeOf(image.created);
  const steps = new Map<Digest, CacheStep>();
  for (const [key, count] of inlineEntries(JSON.parse(Buffer.from(config).toString("utf8")))) {
    const layer = chain[count - 1];
    if (layer) steps.set(key, { layer, created });
  }
  return { steps, whole: true };
}

function broken(why: string): EngineError {
  return new EngineError("invalid", `cache: ${why}`);
}
