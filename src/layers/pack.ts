import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { type IdMap, streamJob, type Workers } from "../host/mod.ts";
import { mediaTypes } from "../oci/mod.ts";
import type { SnapshotInfo } from "../snapshots/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import { type PackInput, packDirectory } from "./jobs/pack.ts";
import type { PackedLayer, PackOptions } from "./layers.ts";
import type { LayersOptions } from "./open.ts";
import { findPacked, insertPacked, type PackedRow } from "./table.ts";

interface PackRequest {
  readonly snapshot: string;
  readonly options: PackOptions;
}

/** Packs a snapshot into the content store, unless that was done before and the blob is still there. */
export async function packSnapshot(parts: LayersOptions, { snapshot, options }: PackRequest): Promise<PackedLayer> {
  const info = parts.snapshots.info(snapshot);
  if (!info) throw new EngineError("not-found", `No such snapshot: ${snapshot}`);
  // An active snapshot changes, and a clamped blob is not the snapshot's own.
  const lasting = info.state === "committed" && options.sourceDateEpoch === undefined;
  const known = lasting ? parts.db.read((q) => findPacked(q, info)) : undefined;
  if (known && parts.content.info(known.digest)) return describe(known);
  const packed = await pack(parts, { info, options });
  if (lasting) parts.db.write((tx) => insertPacked(tx, info, packed));
  return describe(packed);
}

async function pack(
  { content, snapshots, workers }: LayersOptions,
  { info, options }: { info: SnapshotInfo; options: PackOptions },
): Promise<PackedRow> {
  await using ingest = await content.ingest();
  const { bavail, bsize } = await statfs(dirname(ingest.path));
  const input: PackInput = {
    room: bavail * bsize,
    directory: snapshots.directory(info.name),
    layer: true,
    ...(options.sourceDateEpoch !== undefined && { latest: options.sourceDateEpoch }),
  };
  const { bytes, done } = streamJob(workers, packDirectory, {
    input,
    ...(options.signal && { signal: options.signal }),
  });
  for await (const piece of bytes) await ingest.write(piece);
  const empty = (await done) === 0;
  const { digest, size } = await ingest.commit();
  return { digest, size, empty };
}

function describe({ digest, size, empty }: PackedRow): PackedLayer {
  return { blob: { mediaType: mediaTypes.layer, digest, size }, diffId: digest, empty };
}

export interface PackTreeOptions {
  /** The directory shows owners as they are outside of a user namespace with this map; the archive has them as inside. */
  readonly owners?: IdMap;
  readonly signal?: AbortSignal;
}

/**
 * A directory as an uncompressed tar archive, such as a container's mounted root for `docker export`. What is mounted
 * below it is an empty directory. Packing starts with the first read and never runs more than 2 MiB ahead of it.
 */
export function packTree(workers: Workers, directory: string, { owners, ...options }: PackTreeOptions = {}): Bytes {
  const input: PackInput = { directory, layer: false, ...(owners && { owners }) };
  return streamJob(workers, packDirectory, { input, waits: true, ...options }).bytes;
}
