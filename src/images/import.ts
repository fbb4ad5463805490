import { wrap } from "../errors/mod.ts";
import {
  type Digest,
  defaultPlatform,
  type ImageConfig,
  mediaTypes,
  parsePlatform,
  withDefaultTag,
} from "../oci/mod.ts";
import { type Bytes, decompress } from "../stream/mod.ts";
import { applyChanges } from "./changes.ts";
import { announce, type Context } from "./context.ts";
import type { Image, ImportOptions, TransferOptions } from "./images.ts";
import { recordImage } from "./register.ts";
import { writeManifest } from "./write-manifest.ts";

/** See `ImageTransfer.import`: a file system's tar becomes the one layer of a new image. */
export async function importImage(
  context: Context,
  tar: Bytes,
  options: TransferOptions & ImportOptions,
): Promise<Image> {
  const run = applyChanges({}, options.changes);
  const platform = options.platform ? parsePlatform(options.platform) : defaultPlatform();
  try {
    return await context.leases.hold(async () => {
      const layer = await storeLayer(context, tar, options.signal);
      const created = new Date().toISOString();
      const config: ImageConfig = {
        ...platform,
        created,
        config: run,
        rootfs: { type: "layers", diff_ids: [layer.digest] },
        history: [{ created, comment: options.message ?? "Imported from -" }],
      };
      const image = await register(context, { config, layer, options });
      options.progress({ status: image.id });
      return image;
    });
  } finally {
    await context.collector.collect();
  }
}

interface Imported {
  readonly config: ImageConfig;
  readonly layer: { readonly digest: Digest; readonly size: number };
  readonly options: TransferOptions & ImportOptions;
}

async function register(context: Context, { config, layer, options }: Imported): Promise<Image> {
  const layers = [{ mediaType: mediaTypes.layer, ...layer }];
  const written = await writeManifest(context.content, { config, layers });
  return recordImage(context, {
    ...written,
    layers,
    names: options.name ? [withDefaultTag(options.name)] : [],
    unpack: { signal: options.signal },
    recorded: (tx, { id, run }) => announce(context, tx, { action: "import", id, name: id, labels: run.Labels }),
  }).catch((err: unknown) => {
    throw wrap(err, "Import");
  });
}

async function storeLayer({ content }: Context, tar: Bytes, signal: AbortSignal) {
  await using ingest = await content.ingest();
  for await (const piece of decompress(tar)) {
    signal.throwIfAborted();
    await ingest.write(piece);
  }
  const { digest, size } = await ingest.commit();
  return { digest, size };
}
