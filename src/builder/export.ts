import { EngineError } from "../errors/mod.ts";
import { streamJob } from "../host/mod.ts";
import type { Image } from "../images/mod.ts";
import type { PackedLayer } from "../layers/mod.ts";
import { chainIds, type Descriptor, type Digest, type HistoryEntry, type ImageConfig, mediaTypes } from "../oci/mod.ts";
import { cacheKey } from "./cache.ts";
import type { Build, Solved } from "./context.ts";
import type { HistoryDraft, StageResult } from "./graph/graph.ts";
import type { Vertex } from "./graph/vertex.ts";
import { inlineCache } from "./inline-cache.ts";
import { squashJob } from "./jobs/squash.ts";
import type { Solver } from "./solve.ts";

/** A history entry with what came of it. */
interface Entry {
  readonly draft: HistoryDraft;
  readonly comment?: string;
  readonly solved?: Solved;
  /** For an inline cache. */
  readonly keys?: readonly Digest[];
  /** The layer, when the step changed something. `bytes`: of its files, which no snapshot has yet. */
  readonly layer?: PackedLayer & { readonly bytes?: number };
}

/** Packs the layers of a solved stage and makes an image of them; its id is the same whenever everything came from the cache. */
export async function exportImage(
  build: Build,
  { result, solver }: { result: StageResult; solver: Solver },
): Promise<Image> {
  const { images, layers } = build.context;
  const base = result.base && images.get(result.base.id);
  const each = await Promise.all(result.history.map((draft) => packEntry(build, { draft, solver })));
  const entries = build.options.squash ? await squashed(build, each) : each;
  const made = entries.flatMap(({ layer, solved }) => (layer ? [{ layer, snapshot: solved?.snapshot }] : []));
  const diffIds = [...(base?.config.rootfs.diff_ids ?? []), ...made.map(({ layer }) => layer.diffId)];
  const chain = chainIds(diffIds).slice(-made.length || diffIds.length);
  const packed = new Map<Digest, number>();
  for (const [index, { snapshot, layer }] of made.entries()) {
    const chainId = chain[index];
    if (chainId && layer.bytes !== undefined) packed.set(chainId, layer.bytes);
    else if (chainId && snapshot !== undefined) layers.recordChain(chainId, snapshot);
  }
  const blobs: Descriptor[] = [...(base ? images.layers(base) : []), ...made.map(({ layer }) => layer.blob)];
  const inline = build.options.inlineCache && !build.options.squash;
  const told = inline ? inlineCache(entries, base?.config.rootfs.diff_ids.length ?? 0) : {};
  const config = { ...configOf(build, { result, base, entries, diffIds }), ...told };
  return images.register({ config, layers: blobs, packed, ...(base && { parent: base.id }) });
}

async function packEntry(build: Build, { draft, solver }: { draft: HistoryDraft; solver: Solver }): Promise<Entry> {
  const { vertex } = draft;
  if (!vertex) return { draft };
  const solved = await solver.solve(vertex);
  const keys = build.options.inlineCache ? await solver.keys(vertex) : [];
  if (solved.snapshot === undefined || solved.snapshot === (await below(vertex, solver)))
    return { draft, solved, keys };
  const layer = await layerOf(build, solved.snapshot);
  return layer.empty ? { draft, solved, keys } : { draft, solved, keys, layer };
}

/** All layers become one, told by an entry of its own (docker build, `--squash`). */
async function squashed({ context, signal }: Build, entries: readonly Entry[]): Promise<readonly Entry[]> {
  const own = entries.flatMap(({ layer }) => layer ?? []);
  if (own.length === 0) return entries;
  const input = { layers: own.map(({ blob }) => context.content.path(blob.digest)) };
  const { bytes, done } = streamJob(context.host.workers, squashJob, { input, signal });
  await using ingest = await context.content.ingest();
  for await (const piece of bytes) await ingest.write(piece);
  const used = await done;
  const { digest, size } = await ingest.commit();
  const layer = { blob: { mediaType: mediaTypes.layer, digest, size }, diffId: digest, empty: false, bytes: used };
  const bare = entries.map(({ draft, solved }): Entry => ({ draft, ...(solved && { solved }) }));
  return [...bare, { draft: { createdBy: "" }, comment: `merge of ${own.length} layers`, layer }];
}

/** With a latest time for its files the layer is not the one that others get. */
export async function layerOf(build: Build, snapshot: string): Promise<PackedLayer & { readonly bytes?: number }> {
  const { context, signal, epoch } = build;
  if (epoch === undefined) return packedOnly(build, snapshot) ?? (await packedLayer(build, snapshot));
  await context.packedLayers.unpack(snapshot, signal);
  const layer = await context.layers.pack(snapshot, { signal, sourceDateEpoch: epoch });
  return { ...layer, bytes: (await context.snapshots.usage(snapshot)).bytes };
}

/** The layer of a result that nobody has needed as a snapshot yet. */
function packedOnly({ context }: Build, snapshot: string) {
  return context.snapshots.info(snapshot) ? undefined : context.packedLayers.find(snapshot);
}

function packedLayer({ context, signal }: Build, snapshot: string): Promise<PackedLayer> | PackedLayer {
  const found = context.packedLayers.find(snapshot);
  if (!found) return context.layers.pack(snapshot, { signal });
  const { blob, diffId, empty } = found;
  return { blob, diffId, empty };
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
  const created = build.epoch === undefined ? createdAt(build, { key, entries }) : build.epoch * 1000;
  const history = [
    ...(base?.config.history ?? []),
    ...entries.map((entry) => historyEntry(build.epoch === undefined ? entry : undated(entry), created)),
  ];
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

/** Every entry gets the image's time. */
function undated({ solved, ...entry }: Entry): Entry {
  return { ...entry, ...(solved && { solved: { ...solved, created: 0 } }) };
}

function historyEntry({ draft, comment, solved, layer }: Entry, created: number): HistoryEntry {
  return {
    created: iso(solved && solved.created > 0 ? solved.created : created),
    created_by: draft.createdBy,
    ...(comment !== undefined && { comment }),
    ...(!layer && { empty_layer: true }),
  };
}

function iso(time: number): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) throw new EngineError("internal", `Time ${time} is out of range`);
  return date.toISOString();
}
