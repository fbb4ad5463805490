import { chainIds, type Digest, type ImageConfig } from "../oci/mod.ts";
import type { Build, Solved } from "./context.ts";

/** Which steps gave an image its lower layers, in a field of its config: any engine carries it along. */
const field = "berth.cache.v1";

/** A step's portable key, and how many of the image's layers are there after it. */
type InlineEntry = readonly [key: Digest, layers: number];

export interface InlineCache {
  readonly [field]?: readonly InlineEntry[];
}

export interface ExportedStep {
  readonly solved?: Solved;
  readonly layer?: unknown;
}

/** For an image whose layers on top of `below` others came from these steps, in their order. */
export function inlineCache(steps: readonly ExportedStep[], below: number): InlineCache {
  let layers = below;
  const entries = steps.flatMap(({ solved, layer }): InlineEntry[] => {
    if (layer !== undefined) layers++;
    return solved?.portable !== undefined && layers > 0 ? [[solved.portable, layers]] : [];
  });
  return { [field]: entries };
}

export interface ImportedStep {
  readonly snapshot: string;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** Results of steps in the images that --cache-from names, as far as those say which they have. */
export class InlineImports {
  readonly #build: Build;
  #found: Promise<ReadonlyMap<Digest, { image: string; chain: Digest; created: number }>> | undefined;

  constructor(build: Build) {
    this.#build = build;
  }

  /** By portable key; unpacks the image when it has the step. */
  async find(key: Digest): Promise<ImportedStep | undefined> {
    if (this.#build.options.cacheFrom.length === 0) return undefined;
    this.#found ??= this.#read();
    const found = (await this.#found).get(key);
    if (!found) return undefined;
    const { images, layers } = this.#build.context;
    await images.rootfs(images.get(found.image));
    const snapshot = layers.chain(found.chain);
    return snapshot === undefined ? undefined : { snapshot, created: found.created };
  }

  async #read(): Promise<ReadonlyMap<Digest, { image: string; chain: Digest; created: number }>> {
    const { images, content } = this.#build.context;
    const found = new Map<Digest, { image: string; chain: Digest; created: number }>();
    for (const name of this.#build.options.cacheFrom) {
      const image = images.find(name);
      if (!image) continue;
      const chains = chainIds(image.config.rootfs.diff_ids);
      const config: unknown = JSON.parse(Buffer.from(await content.read(image.id)).toString());
      const created = Date.parse(image.config.created ?? "") || 0;
      for (const [key, count] of entriesOf(config)) {
        const chain = chains[count - 1];
        if (chain) found.set(key, { image: image.id, chain, created });
      }
    }
    return found;
  }
}

/** What is no list of entries says nothing: the config may be anybody's. */
function entriesOf(config: unknown): readonly InlineEntry[] {
  const entries: unknown = (config as ImageConfig & InlineCache)[field];
  return Array.isArray(entries) ? entries.filter(isEntry) : [];
}

function isEntry(entry: unknown): entry is InlineEntry {
  return Array.isArray(entry) && typeof entry[0] === "string" && Number.isInteger(entry[1]);
}
