import type { Descriptor } from "../../oci/mod.ts";
import { mediaTypes } from "../../oci/mod.ts";
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

interface Collected {
  readonly layers: readonly ExportedLayer[];
  /** As bytes, see `cacheConfigType`. */
  readonly config: Uint8Array;
}

/** Records of the steps and the layers that these left, each layer after the one that it stands on. */
export async function collectSteps(build: Build, { graph, solver, chains, target }: Collecting): Promise<Collected> {
  const table = new LayerTable();
  const records: object[] = [];
  for (const vertex of target.mode === "max" ? allSteps(graph) : resultSteps(graph)) {
    if (!solver.has(vertex)) continue;
    const created = new Date((await solver.solve(vertex)).created).toISOString();
    const { top } = await chains.of(vertex);
    const result = top ? { layers: [{ layer: table.add(top), createdAt: created }] } : { created };
    for (const digest of await solver.keys(vertex)) records.push({ digest, ...result });
  }
  const blobs = await Promise.all(table.layers.map((layer) => exported(build, { layer, target })));
  const layers = table.layers.map((layer, at) => ({ blob: blobs[at]?.digest, parent: table.parent(layer) }));
  const config = Buffer.from(JSON.stringify({ layers, records }));
  return { layers: blobs.map((blob) => ({ blob })), config };
}

/** Layers by what they are on top of. */
class LayerTable {
  readonly layers: OwnLayer[] = [];
  readonly #indices = new Map<Chain, number>();

  add(layer: OwnLayer): number {
    const known = this.#indices.get(layer.chain);
    if (known !== undefined) return known;
    if (layer.below) this.add(layer.below);
    this.#indices.set(layer.chain, this.layers.length);
    return this.layers.push(layer) - 1;
  }

  /** -1 for none. */
  parent({ below }: OwnLayer): number {
    return (below && this.#indices.get(below.chain)) ?? -1;
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
