import { randomBytes } from "node:crypto";
import { messageOf } from "../../errors/mod.ts";
import type { Digest } from "../../oci/mod.ts";
import { type Bytes, decompress } from "../../stream/mod.ts";
import type { Build } from "../context.ts";
import { withoutBomb } from "../files/bomb.ts";
import type { Vertex } from "../graph/vertex.ts";
import type { Standing } from "./chains.ts";
import { isPlain } from "./decode.ts";
import { type CacheLayer, onTop, type RemoteCache } from "./format.ts";
import { type OpenSource, openSources } from "./sources.ts";

export interface ImportedStep {
  readonly snapshot?: string;
  /** Milliseconds since 1970. */
  readonly created: number;
}

export interface Wanted {
  readonly vertex: Vertex;
  /** The step's portable key and that of its definition, as far as there are such. */
  readonly keys: readonly Digest[];
  /** What the step stands on; asked for only when some cache knows a key. */
  readonly base: () => Promise<Standing>;
}

/** Results of steps in the caches that a build names. What cannot be had of them is told, and the steps run. */
export class CacheImports {
  readonly #build: Build;
  readonly #sources: readonly OpenSource[];

  /** Starts reading what the caches hold, but no layer. */
  constructor(build: Build) {
    this.#build = build;
    // A cache may know a step by what is to be done, whatever stages that are to run anew would come to.
    const isLimited = (build.options.uncachedStages?.length ?? 0) > 0;
    this.#sources = build.options.noCache || isLimited ? [] : openSources(build);
  }

  /** Whether there are caches to look into. */
  get any(): boolean {
    return this.#sources.length > 0;
  }

  /** Whether a cache knows the key, on whatever layers. */
  async has(key: Digest): Promise<boolean> {
    const caches = await Promise.all(this.#sources.map(({ cache }) => cache));
    return caches.some((cache) => cache?.steps.has(key));
  }

  /** Resolves when nothing is read any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#sources.map(({ cache }) => cache));
  }

  /** The result, if a cache has it on top of the very layers that the step stands on here. */
  async find(wanted: Wanted): Promise<ImportedStep | undefined> {
    for (const source of this.#sources) {
      const cache = await source.cache;
      const found = cache && (await this.#in(cache, { ...wanted, source }));
      if (found) return found;
    }
    return undefined;
  }

  async #in(
    cache: RemoteCache,
    { keys, base, source, vertex }: Wanted & { readonly source: OpenSource },
  ): Promise<ImportedStep | undefined> {
    const known = keys.find((key) => cache.steps.has(key));
    const step = known && cache.steps.get(known);
    if (!step) return undefined;
    const { layer, created } = step;
    const at = await base();
    const below = cache.whole ? at.whole : (at.top?.chain ?? "");
    if ((layer?.chain ?? "") === below) return { ...(at.snapshot !== undefined && { snapshot: at.snapshot }), created };
    if (layer?.below !== below) return undefined;
    try {
      return { snapshot: await this.#taken(layer, { at, source }), created };
    } catch (err) {
      this.#build.signal.throwIfAborted();
      this.#build.output.why(vertex, `Not taken from the cache ${source.name}: ${messageOf(err)}`);
      return undefined;
    }
  }

  /** The layer's bytes are fetched; they are unpacked when a step needs the files. */
  async #taken(layer: CacheLayer, { at, source }: { at: Standing; source: OpenSource }): Promise<string> {
    const { layers, packedLayers } = this.#build.context;
    const there = (await source.unpacked()) ? layers.chain(onTop(at.whole, layer.diffId)) : undefined;
    if (there !== undefined) return there;
    const size = await this.#fetched(layer, source);
    const parent = at.snapshot ?? null;
    const { diffId: digest, bytes = size } = layer;
    const known = packedLayers.onTop(parent, digest);
    if (known !== undefined) return known;
    const name = `build/${randomBytes(12).toString("hex")}`;
    packedLayers.record({ name, parent, digest, size, bytes });
    return name;
  }

  /** Plain, as layers are that were made here; the diff id is what is verified, however the bytes came. Returns the size. */
  async #fetched({ blob, diffId, size }: CacheLayer, { reader }: OpenSource): Promise<number> {
    const { context, signal } = this.#build;
    const known = context.content.info(diffId);
    if (known) return known.size;
    await using ingest = await context.content.ingest({ digest: diffId, ...(size !== undefined && { size }) });
    const sent: Bytes = await reader.read(blob);
    for await (const piece of isPlain(blob) ? sent : withoutBomb(decompress(sent), () => blob.size)) {
      signal.throwIfAborted();
      await ingest.write(piece);
    }
    return (await ingest.commit()).size;
  }
}
