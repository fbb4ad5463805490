import { wrap } from "../errors/mod.ts";
import { canonical, decodeConfig, familiar, hexOf, parsePlatform } from "../oci/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import { readArchive } from "./archive.ts";
import { type ArchivedImage, archivedImages } from "./archived-images.ts";
import { putPredicates } from "./attestations.ts";
import { announce, type Context } from "./context.ts";
import type { Image, TransferOptions } from "./images.ts";
import { recordImage } from "./register.ts";
import { imageOfName, putAttestation } from "./table.ts";

export type LoadOptions = TransferOptions & { readonly quiet?: boolean };

/** See `ImageTransfer.load`: everything into the content store, then image by image into rows. What failed is garbage and collected. */
export async function loadImages(context: Context, tar: Bytes, options: LoadOptions): Promise<Image[]> {
  try {
    return await context.leases.hold(async () => {
      const archive = await readArchive(context.content, tar, options.signal);
      const platform = options.platform ? parsePlatform(options.platform) : undefined;
      const loaded: Image[] = [];
      for (const image of await archivedImages(archive, platform)) loaded.push(await loadOne(context, image, options));
      return loaded;
    });
  } finally {
    await context.collector.collect();
  }
}

async function loadOne(context: Context, archived: ArchivedImage, options: LoadOptions): Promise<Image> {
  options.signal.throwIfAborted();
  const { manifest, layers, names, attested } = archived;
  const attestations = await putPredicates(context, attested.attestations);
  const config = await context.content.read(archived.config.digest);
  sayRenamed(context, archived, options);
  const image = await recordImage(context, {
    config,
    manifest,
    layers,
    names,
    unpack: { signal: options.signal, onUnpacked: onUnpacked(config, archived, options) },
    recorded: (tx, { id, run }) => {
      for (const row of attestations) putAttestation(tx, id, row);
      announce(context, tx, { action: "load", id, name: id, labels: run.Labels });
    },
  }).catch((err: unknown) => {
    throw wrap(err, `Load image ${archived.config.digest}`);
  });
  for (const what of attested.leftOut) options.progress({ stream: `Attestation left out: ${what}\n` });
  for (const name of names) options.progress({ stream: `Loaded image: ${familiar(name)}\n` });
  if (names.length === 0) options.progress({ stream: `Loaded image ID: ${image.id}\n` });
  return image;
}

/** `Loading layer`, once for each. */
function onUnpacked(config: Uint8Array, { layers }: ArchivedImage, { quiet, progress }: LoadOptions) {
  const diffIds = decodeConfig(config).rootfs.diff_ids;
  return (diffId: (typeof diffIds)[number]) => {
    const size = layers[diffIds.indexOf(diffId)]?.size ?? 0;
    const progressDetail = { current: size, total: size };
    if (!quiet) progress({ status: "Loading layer", progressDetail, id: hexOf(diffId).slice(0, 12) });
  };
}

function sayRenamed({ db }: Context, { names, config }: ArchivedImage, { progress }: LoadOptions): void {
  for (const name of names) {
    const old = db.read((q) => imageOfName(q, canonical(name)));
    if (old === undefined || old === config.digest) continue;
    progress({
      stream: `The image ${familiar(name)} already exists, renaming the old one with ID ${old} to empty string\n`,
    });
  }
}
