import { join } from "node:path";
import { usageOf } from "../host/mod.ts";
import { chainIds } from "../oci/mod.ts";
import type { BuilderContext } from "./context.ts";
import { type CacheRow, cacheRows, keptContexts, layerRow, mountDirectories } from "./table.ts";

/** One thing that the cache keeps, as users see it and as it is removed. */
export interface CacheRecord {
  readonly id: string;
  readonly kind: "step" | "mount" | "context" | "note";
  /** What `kind` knows it by. */
  readonly key: string;
  /** BuildKit's name for it. */
  readonly type: "regular" | "exec.cachemount" | "source.local" | "internal";
  readonly description: string;
  /** Ids of what it stands on. */
  readonly parents: readonly string[];
  /** Part of an image, which keeps its files. */
  readonly shared: boolean;
  readonly inUse: boolean;
  /** Of its own files, on the disk. */
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly used: number;
  readonly uses: number;
}

/** Everything that the cache keeps, oldest use first. "note" records hold no files and are shown to nobody. */
export async function cacheRecords(context: BuilderContext): Promise<CacheRecord[]> {
  const inImages = await imageSnapshots(context);
  const rows = context.db.read(cacheRows);
  const ids = new Map(rows.flatMap(({ snapshot, id }) => (snapshot === null ? [] : [[snapshot, id] as const])));
  const steps = await Promise.all(rows.map((row) => stepRecord(context, { row, inImages, ids })));
  const all = [...steps, ...(await mountRecords(context)), ...contextRecords(context)];
  return all.sort((a, b) => a.used - b.used);
}

/** Snapshots that belong to an image as well, or are a layer of one. */
async function imageSnapshots({ images, snapshots, layers }: BuilderContext): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const { Id } of await images.list({ filter: new Map(), all: true, sharedSize: false })) {
    const image = images.find(Id);
    for (const { digest } of image ? images.layers(image) : []) found.add(digest);
    for (const chain of image ? chainIds(image.config.rootfs.diff_ids) : []) {
      let at = layers.chain(chain);
      while (at !== undefined && !found.has(at)) {
        found.add(at);
        at = snapshots.info(at)?.parent;
      }
    }
  }
  return found;
}

interface Step {
  readonly row: CacheRow;
  readonly inImages: ReadonlySet<string>;
  readonly ids: ReadonlyMap<string, string>;
}

async function stepRecord(context: BuilderContext, { row, inImages, ids }: Step): Promise<CacheRecord> {
  const { snapshot } = row;
  const info = snapshot === null ? undefined : context.snapshots.info(snapshot);
  const layer = snapshot === null ? undefined : context.db.read((q) => layerRow(q, snapshot));
  const parent = ids.get(info?.parent ?? layer?.parent ?? "");
  const unpacked = info && snapshot !== null ? (await context.snapshots.usage(snapshot)).bytes : 0;
  return {
    ...{ id: row.id, key: row.key, description: row.description, created: row.created, used: row.used, uses: row.uses },
    kind: row.kind === "image" ? "note" : "step",
    type: row.kind === "image" ? "internal" : "regular",
    parents: parent === undefined ? [] : [parent],
    shared: [snapshot, layer?.digest].some((one) => one != null && inImages.has(one)),
    inUse: snapshot !== null && [...context.inUse].some((used) => used.has(snapshot)),
    bytes: unpacked + (layer?.size ?? 0),
  };
}

async function mountRecords({ db, host, config }: BuilderContext): Promise<CacheRecord[]> {
  const mounts = db.read(mountDirectories).map(async ({ id, directory, used }): Promise<CacheRecord> => {
    const { bytes } = await host.workers.run(usageOf, { path: join(config.directory, "mounts", directory) });
    const common = { parents: [], shared: false, inUse: false, created: used, used, uses: 0 };
    return {
      ...common,
      id: directory,
      kind: "mount",
      key: id,
      type: "exec.cachemount",
      description: `cached mount ${id}`,
      bytes,
    };
  });
  return Promise.all(mounts);
}

function contextRecords({ db }: BuilderContext): CacheRecord[] {
  return db.read(keptContexts).map(({ key, directory, used, bytes }): CacheRecord => {
    const common = { parents: [], shared: false, inUse: false, created: used, used, uses: 0 };
    const description = "contents of a build context";
    return { ...common, id: directory, kind: "context", key, type: "source.local", description, bytes };
  });
}
