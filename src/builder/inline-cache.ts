import { type Digest, isDigest } from "../oci/mod.ts";

/** Which steps gave an image its lower layers, in a field of its config: any engine carries it along. */
const field = "berth.cache.v1";

/** A step's portable key, and how many of the image's layers are there after it. */
type InlineEntry = readonly [key: Digest, layers: number];

export interface InlineCache {
  readonly [field]?: readonly InlineEntry[];
}

export interface ExportedStep {
  /** What caches know the step by. */
  readonly keys?: readonly Digest[];
  readonly layer?: unknown;
}

/** For an image whose layers on top of `below` others came from these steps, in their order. */
export function inlineCache(steps: readonly ExportedStep[], below: number): InlineCache {
  let layers = below;
  const entries = steps.flatMap(({ keys = [], layer }): InlineEntry[] => {
    if (layer !== undefined) layers++;
    return layers > 0 ? keys.map((key) => [key, layers]) : [];
  });
  return { [field]: entries };
}

/** What is no list of entries says nothing: the config, as JSON, may be anybody's. */
export function inlineEntries(config: unknown): readonly InlineEntry[] {
  const entries: unknown = (config as InlineCache | null)?.[field];
  return Array.isArray(entries) ? entries.filter(isEntry) : [];
}

function isEntry(entry: unknown): entry is InlineEntry {
  return Array.isArray(entry) && typeof entry[0] === "string" && isDigest(entry[0]) && Number.isInteger(entry[1]);
}
