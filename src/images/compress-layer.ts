import type { KeyedLock } from "../async/mod.ts";
import { type Descriptor, mediaTypes } from "../oci/mod.ts";
import { compress } from "../stream/mod.ts";
import type { Context } from "./context.ts";
import { compressedOf, setCompressed } from "./table.ts";

/** True for a layer that is stored as plain tar. */
export function isPlain({ mediaType }: Descriptor): boolean {
  return mediaType === mediaTypes.layer || mediaType === mediaTypes.dockerLayer;
}

/**
 * The gzip form of a plain layer. Made once and remembered, so that every push of it sends the same bytes; kept as long as
 * an image has the plain layer. To be called under a lease.
 */
export function compressLayer(
  { context, compressing }: { readonly context: Context; readonly compressing: KeyedLock },
  layer: Descriptor,
  signal: AbortSignal,
): Promise<Descriptor> {
  const { db, content } = context;
  const mediaType = layer.mediaType === mediaTypes.layer ? mediaTypes.layerGzip : mediaTypes.dockerLayerGzip;
  return compressing.run(
    layer.digest,
    async () => {
      const known = db.read((q) => compressedOf(q, layer.digest));
      if (known && content.info(known.digest)) return { mediaType, ...known };
      await using ingest = await content.ingest();
      for await (const piece of compress(content.open(layer.digest), "gzip")) {
        signal.throwIfAborted();
        await ingest.write(piece);
      }
      const { digest, size } = await ingest.commit();
      db.write((tx) => setCompressed(tx, layer.digest, { digest, size }));
      return { mediaType, digest, size };
    },
    signal,
  );
}
