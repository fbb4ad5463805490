import type { Descriptor, Digest, Reference } from "../oci/mod.ts";
import { attestImage, imageStatements } from "./attestations.ts";
import type { Context } from "./context.ts";
import { imageOf } from "./context.ts";
import { findRow, requireRow } from "./find.ts";
import { imageHistory } from "./history.ts";
import type { Image, Images, ImageUser, NewImage } from "./images.ts";
import { inspectImage } from "./inspect.ts";
import { type ListOptions, listImages } from "./list.ts";
import { pruneImages } from "./prune.ts";
import { registerImage } from "./register.ts";
import { discardImage, type RemoveOptions, removeImage } from "./remove.ts";
import { imageRootfs } from "./rootfs.ts";
import { type ImageRow, imageIds, imageRoots, type LayerRow, layersOf } from "./table.ts";
import { tagImage } from "./tag.ts";

export type ImagesOptions = Omit<Context, "users">;

/** Images over their rows; the tables come with `imagesMigrations`, their roots are registered with the collector as "images". */
export function openImages(options: ImagesOptions): Images {
  let users: (id: Digest) => readonly ImageUser[] = () => [];
  const context: Context = { ...options, users: (id) => users(id) };
  context.collector.register("images", imageRoots);
  const images: Images = {
    get: (refOrId) => context.db.read((q) => imageOf(q, requireRow(q, refOrId))),
    find: (refOrId) =>
      context.db.read((q) => {
        const row = findRow(q, refOrId);
        return row && imageOf(q, row);
      }),
    ids: () => context.db.read(imageIds),
    list: async (list: ListOptions) => listImages(context, list),
    inspect: async (refOrId) => inspectImage(context, refOrId),
    history: async (refOrId) => imageHistory(context, refOrId),
    tag: (image: Image, name: Reference) => tagImage(context, image, name),
    remove: (refOrId, remove: RemoveOptions) => removeImage(context, refOrId, remove),
    discard: ({ id }) => discardImage(context, id),
    prune: (filter) => pruneImages(context, filter),
    rootfs: (image) => imageRootfs(context, image),
    layers: (image) => context.db.read((q) => layersOf(q, image.id)).map(descriptorOf),
    attest: (image, attestations) => attestImage(context, image, attestations),
    attestations: (refOrId) => imageStatements(context, refOrId),
    manifest: (image) => manifestOf(context.db.read((q) => requireRow(q, image.id))),
    register: (request: NewImage) => registerImage(context, request),
    onUse: (ask) => {
      users = ask;
    },
  };
  contexts.set(images, context);
  return images;
}

function manifestOf({ manifest, manifest_type, manifest_size }: ImageRow): Descriptor {
  return { mediaType: manifest_type, digest: manifest, size: manifest_size };
}

function descriptorOf(row: LayerRow): Descriptor {
  return { mediaType: row.media_type, digest: row.digest as Digest, size: row.blob_size };
}

/** Transfers work on the same rows as the images they are made for; nobody else gets at them. */
const contexts = new WeakMap<Images, Context>();

export function contextOf(images: Images): Context {
  const context = contexts.get(images);
  if (!context) throw new TypeError("createTransfer needs what openImages returned");
  return context;
}
