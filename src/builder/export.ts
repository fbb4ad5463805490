import { EngineError } from "../errors/mod.ts";
import type { Image } from "../images/mod.ts";
import type { PackedLayer } from "../layers/mod.ts";
import { chainIds, type Descriptor, type Digest, type HistoryEntry, type ImageConfig } from "../oci/mod.ts";
import { cacheKey } from "./cache.ts";
import type { Build, Solved } from "./context.ts";
import type { HistoryDraft, StageResult } from "./graph/graph.ts";
import type { Vertex } from "./graph/vertex.ts";
import type { Solver } from "./solve.ts";

/** A history entry with what came of it. */
interface Entry {
  readonly draft: HistoryDraft;
  readonly solved?: Solved;
  /** The layer, when the step changed something. */
  readonly layer?: PackedLayer;
}

/** Packs the layers of a solved stage and makes an image of them; its id is the same whenever everything came from the cache. */
export async function exportImage(
  build: Build,
  { result, solver }: { result: StageResult; solver: Solver },
): Promise<Image> {
  const { images, layers } = build.context;
  const base = result.base && images.get(result.base.id);
  const entries = await Promise.all(result.history.map((draft) => packEntry(build, { draft, solver })));
  const made = entries.flatMap(({ layer, solved }) =>
    layer && solved?.snapshot ? [{ layer, snapshot: solved.snapshot }] : [],
  );
  const diffIds = [...(base?.config.rootfs.diff_ids ?? []), ...made.map(({ layer }) => layer.diffId)];
  const chain = chainIds(diffIds).slice(-made.length || diffIds.length);
  for (const [index, { snapshot }] of made.entries()) {
    const chainId = chain[index];
    if (chainId) layers.recordChain(chainId, snapshot);
  }
  const blobs: Descriptor[] = [...(base ? images.layers(base) : []), ...made.map(({ layer }) => layer.blob)];
  const config = configOf(build, { result, base, entries, diffIds });
  return images.register({ config, layers: blobs, ...(base && { parent: base.id }) });
}

async function packEntry(build: Build, { draft, solver }: { draft: HistoryDraft; solver: Solver }): Promise<Entry> {
  const { vertex } = draft;
  if (!vertex) return { draft };
  const solved = await solver.solve(vertex);
  if (solved.snapshot === undefined || solved.snapshot === (await below(vertex, solver))) return { draft, solved };
  const layer = await build.context.layers.pack(solved.snapshot, { signal: build.signal });
  return layer.empty ? { draft, solved } : { draft, solved, layer };
}

async function below(vertex: Vertex, solver: Solver): Promise<string | undefined> {
  return vertex.base && (await solver.solve(vertex.base)).snapshot;
}

interface ConfigParts {
  readonly result: StageResult;
  readonly base: Image | undefined;
  readonly entries: readonly Entry[];
  readonly diffIds: readonly Digest[];
}

function configOf(build: Build, { result, base, entries, diffIds }: ConfigParts): ImageConfig {
  const { os, architecture, variant } = result.platform;
  const described = { config: result.config, author: result.author, platform: result.platform, diffIds };
  const key = cacheKey(["image", described, entries.map(({ draft }) => draft.createdBy)]);
  const created = createdAt(build, { key, entries });
  const history = [...(base?.config.history ?? []), ...entries.map((entry) => historyEntry(entry, created))];
  return {
    created: iso(created),
    ...(result.author !== undefined && result.author !== "" && { author: result.author }),
    architecture,
    os,
    ...(variant !== undefined && { variant }),
    config: result.config,
    rootfs: { type: "layers", diff_ids: diffIds },
    history,
  };
}

/** When an image of this description was made first, or its newest step when that is later. */
function createdAt({ context, options }: Build, { key, entries }: { key: Digest; entries: readonly Entry[] }): number {
  const newest = Math.max(0, ...entries.map(({ solved }) => solved?.created ?? 0));
  const known = options.noCache ? undefined : context.cache.lookup(key);
  if (known && known.created >= newest) return known.created;
  const created = Math.max(newest, Date.now());
  context.cache.record({ key, kind: "image", snapshot: null, description: "image", created });
  return created;
}

function historyEntry({ draft, solved, layer }: Entry, created: number): HistoryEntry {
  return {
    created: iso(solved && solved.created > 0 ? solved.created : created),
    created_by: draft.createdBy,
    ...(!layer && { empty_layer: true }),
  };
}

function iso(time: number): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) throw new EngineError("internal", `Time ${time} is out of range`);
  return date.toISOString();
}
