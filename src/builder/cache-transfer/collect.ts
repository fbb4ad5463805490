import { type Descriptor, type Digest, mediaTypes } from "../../oci/mod.ts";
import type { Build } from "../context.ts";
import type { BuildGraph } from "../graph/graph.ts";
import type { Vertex } from "../graph/vertex.ts";
import type { LayerChains, OwnLayer, SolvesVertices } from "./chains.ts";
import { annotations, type Chain } from "./format.ts";
import type { CacheTarget } from "./options.ts";

export interface ExportedLayer {
  /** In the content store, with all that a reader needs to know in its annotations. */
  readonly blob: Descriptor;
}

export interface Collecting {
  readonly graph: BuildGraph;
  readonly solver: SolvesVertices;
  readonly chains: LayerChains;
  readonly target: CacheTarget;
}

/** What goes to one place: records of steps and the layers that these left, each layer after the one that it stands on. */
export class CacheContents {
  readonly #layers: (ExportedLayer & { readonly parent: number })[] = [];
  readonly #indices = new Map<Chain, number>();
  readonly #records = new Map<Digest, object>();

  get layers(): readonly ExportedLayer[] {
    return this.#layers;
  }

  /** As bytes, see `cacheConfigType`. */
  get config(): Uint8Array {
    const layers = this.#layers.map(({ blob, parent }) => ({ blob: blob.digest, parent }));
    const records = [...this.#records].map(([digest, result]) => ({ digest, ...result }));
    return Buffer.from(JSON.stringify({ layers, records }));
  }

  /** Adds the steps of a build. */
  async add(build: Build, { graph, solver, chains, target }: Collecting): Promise<void> {
    for (const vertex of target.mode === "max" ? allSteps(graph) : resultSteps(graph)) {
      if (!solver.has(vertex)) continue;
      const created = new Date((await solver.solve(vertex)).created).toISOString();
      const { top } = await chains.of(vertex);
      const layer = top && (await this.#index(build, { layer: top, target }));
      const result = layer === undefined ? { created } : { layers: [{ layer, createdAt: created }] };
      for (const digest of await solver.keys(vertex)) this.#records.set(digest, result);
    }
  }

  async #index(build: Build, { layer, target }: { layer: OwnLayer; target: CacheTarget }): Promise<number> {
    const known = this.#indices.get(layer.chain);
    if (known !== undefined) return known;
    const parent = layer.below ? await this.#index(build, { layer: layer.below, target }) : -1;
    const index = this.#layers.push({ blob: await exported(build, { layer, target }), parent }) - 1;
    this.#indices.set(layer.chain, index);
    return index;
  }
}

/** Those that do something, of every stage that was needed. */
function allSteps({ steps }: BuildGraph): ReadonlySet<Vertex> {
  return new Set(steps.flatMap(({ vertex, runs }) => (vertex && runs && vertex.op.kind !== "image" ? [vertex] : [])));
}

/** Those that the result stands on, lowest first. */
function resultSteps({ result }: BuildGraph): readonly Vertex[] {
  const steps: Vertex[] = [];
  for (let at = result.vertex; at && at.op.kind !== "image"; at = at.base) steps.unshift(at);
  return steps;
}

async function exported(
  { context, signal }: Build,
  { layer, target }: { layer: OwnLayer; target: CacheTarget },
): Promise<Descriptor> {
  const { blob: plain, diffId, snapshot, created } = layer;
  const blob = target.compression === "gzip" ? await context.transfer.compressed(plain, signal) : plain;
  const bytes = context.packedLayers.find(snapshot)?.bytes ?? (await context.snapshots.usage(snapshot)).bytes;
  const types = target.docker
    ? { plain: mediaTypes.dockerLayer, gzip: mediaTypes.dockerLayerGzip }
    : { plain: mediaTypes.layer, gzip: mediaTypes.layerGzip };
  return {
    mediaType: target.compression === "gzip" ? types.gzip : types.plain,
    ...{ digest: blob.digest, size: blob.size },
    annotations: {
      [annotations.diffId]: diffId,
      [annotations.created]: new Date(created).toISOString(),
      [annotations.size]: String(plain.size),
      [annotations.bytes]: String(bytes),
    },
  };
}
