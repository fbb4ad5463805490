import { EngineError } from "../errors/mod.ts";
import type { Context } from "./context.ts";
import type { Image } from "./images.ts";
import { imageById, layersOf, setSnapshot } from "./table.ts";

/** See `Images.rootfs`. Throws "not-found" for an image that was removed since it was looked up. Unpacking again is the exception: only when a snapshot was lost. */
export async function imageRootfs(context: Context, image: Image): Promise<string | undefined> {
  const rows = context.db.read((q) => layersOf(q, image.id));
  const top = rows.at(-1);
  if (!top && image.config.rootfs.diff_ids.length > 0) throw new EngineError("not-found", `No such image: ${image.id}`);
  if (!top) return undefined;
  const known = context.layers.chain(top.chain);
  if (known) return known;
  const layers = image.config.rootfs.diff_ids.map((diffId, index) => {
    const row = rows[index];
    if (!row) throw new EngineError("internal", `Image ${image.id} has no row for layer ${index}`);
    return { diffId, blob: { mediaType: row.media_type, digest: row.digest, size: row.blob_size } };
  });
  return context.leases.hold(async () => {
    const snapshot = await context.layers.unpack(layers, { signal: new AbortController().signal });
    if (snapshot === undefined) throw new EngineError("internal", `Unpacking image ${image.id} gave no snapshot`);
    context.db.write((tx) => {
      if (imageById(tx, image.id)) setSnapshot(tx, image.id, snapshot);
    });
    return snapshot;
  });
}
