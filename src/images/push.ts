import type { KeyedLock, Semaphore } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import {
  canonical,
  type Descriptor,
  type Digest,
  decodeManifest,
  digestOf,
  familiar,
  familiarName,
  type ImageConfig,
  type Manifest,
  type Reference,
} from "../oci/mod.ts";
import type { RegistryClient } from "../registry-client/mod.ts";
import { type Bytes, fromBuffer } from "../stream/mod.ts";
import { referrerOf, statementsOf } from "./attestations.ts";
import { announce, type Context, nameRow } from "./context.ts";
import { Meter, shortId } from "./download.ts";
import { formLayer, requireForm } from "./form.ts";
import type { Image, ImageForm, PushImageOptions, TransferOptions } from "./images.ts";
import { indexFor } from "./index-of.ts";
import { requirePlatform } from "./platform.ts";
import { type ImageRow, imageById, imageOfName, namesOfRepository, repositoriesWithBlob, setName } from "./table.ts";
import { formManifest } from "./write-manifest.ts";

export interface PushParts {
  readonly context: Context;
  readonly registry: RegistryClient;
  /** How many layers leave at once, over all pushes. */
  readonly uploads: Semaphore;
  /** By digest of the plain layer. */
  readonly compressing: KeyedLock;
}

interface Push extends PushParts {
  /** With its tag, if it gets one. */
  readonly ref: Reference;
  readonly row: ImageRow;
  readonly form: ImageForm;
  readonly options: TransferOptions;
}

const usualForm: ImageForm = { compression: "gzip" };

/** See `ImageTransfer.push`. Without a tag every tag of the repository goes. Throws "not-found" when there is none. */
export async function pushImages(parts: PushParts, ref: Reference, options: TransferOptions): Promise<void> {
  const { context } = parts;
  if (ref.digest) throw new EngineError("invalid", "cannot push a digest reference");
  const { domain, path } = ref;
  const tags = ref.tag ? [ref.tag] : tagsOf(context, ref);
  const rows = tags.map((tag) => ({ ref: { domain, path, tag }, row: requireImage(context, { domain, path, tag }) }));
  if (rows.length === 0) throw noImage(ref);
  if (options.platform) for (const { row } of rows) requirePlatform(row, options.platform);
  options.progress({ status: `The push refers to repository [${domain}/${path}]` });
  await context.leases.hold(async () => {
    for (const one of rows) await pushOne({ ...parts, ...one, form: usualForm, options });
  });
}

export interface OnePush {
  readonly image: Image;
  readonly ref: Reference;
  readonly options: PushImageOptions;
}

/** See `ImageTransfer.pushImage`. */
export async function pushImage(parts: PushParts, { image, ref, options }: OnePush): Promise<Descriptor> {
  const { form = usualForm, ...rest } = options;
  requireForm(form);
  const row = parts.context.db.read((q) => imageById(q, image.id));
  if (!row) throw new EngineError("not-found", `No such image: ${image.id}`);
  return parts.context.leases.hold(() => pushOne({ ...parts, ref, row, form, options: rest }));
}

function tagsOf({ db }: Context, { domain, path }: Reference): string[] {
  const names = db.read((q) => namesOfRepository(q, `${domain}/${path}`));
  return names.filter((row) => row.is_digest === 0).map((row) => row.name.slice(row.repository.length + 1));
}

function requireImage({ db }: Context, ref: Reference): ImageRow {
  const row = db.read((q) => {
    const id = imageOfName(q, canonical(ref));
    return id && imageById(q, id);
  });
  if (!row) throw noImage(ref);
  return row;
}

function noImage(ref: Reference): EngineError {
  const { tag: _, ...repository } = ref;
  const what = ref.tag ? `tag: ${familiarName(repository)}` : `repository: ${familiarName(repository)}`;
  return new EngineError("not-found", `An image does not exist locally with the ${what}`);
}

/** See `ImageTransfer.pushIndex`. */
export async function pushIndex(
  parts: PushParts,
  images: readonly Image[],
  { ref, options }: Omit<OnePush, "image">,
): Promise<Descriptor> {
  const { domain, path } = ref;
  const listed: Descriptor[] = [];
  for (const image of images) {
    const { os, architecture, variant } = image.config;
    const platform = { os, architecture, ...(variant && { variant }) };
    listed.push({ ...(await pushImage(parts, { image, ref: { domain, path }, options })), platform });
  }
  const { descriptor, bytes } = indexFor(listed);
  await parts.registry.pushManifest(ref, descriptor, bytes, options);
  return descriptor;
}

async function pushOne(push: Push): Promise<Descriptor> {
  const { context, registry, ref, row, form, options } = push;
  const stored = await context.content.read(row.manifest);
  const manifest = decodeManifest(stored, row.manifest_type);
  const layers = await pushLayers(push, manifest);
  await pushConfig(push, manifest.config);
  const { bytes, mediaType } = formManifest({ stored, type: row.manifest_type, manifest }, { layers, form });
  const target: Descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  await registry.pushManifest(ref, target, bytes, options);
  await pushStatements(push, target);
  recordPush(push, target.digest);
  const tag = ref.tag ?? "";
  options.progress({ status: `${tag}: digest: ${target.digest} size: ${target.size}` });
  options.progress({ progressDetail: {}, aux: { Tag: tag, Digest: target.digest, Size: target.size } });
  return target;
}

/** What is said about the image, about the manifest that was pushed, which refers to layers as they are stored there. */
async function pushStatements(push: Push, subject: Descriptor): Promise<void> {
  const { context, registry, ref, row, options } = push;
  const { domain, path } = ref;
  const name = ref.tag ? ref : { domain, path, digest: subject.digest };
  const statements = await statementsOf(context, { row, digest: subject.digest, names: [name] });
  for (const statement of statements) {
    const { manifest, bytes, blobs } = referrerOf(statement, subject);
    for (const blob of blobs) {
      if (await registry.has(ref, blob.descriptor, options)) continue;
      await registry.pushBlob(ref, blob.descriptor, () => fromBuffer(blob.bytes), options);
    }
    await registry.pushReferrer({ domain, path }, manifest, { ...options, bytes, subject: subject.digest });
    options.progress({ status: `Attested ${statement.predicateType}` });
  }
}

function recordPush({ context, ref, row }: Push, digest: Digest): void {
  const { domain, path } = ref;
  context.db.write((tx) => {
    if (imageById(tx, row.id)) setName(tx, nameRow({ domain, path, digest }, row.id));
    const labels = (JSON.parse(row.config) as ImageConfig).config?.Labels;
    announce(context, tx, { action: "push", id: familiar(ref), name: familiarName(ref), labels });
  });
}

/** All layers, as they are stored there: plain ones compressed. The first failure ends the others. */
async function pushLayers(push: Push, { layers }: Manifest): Promise<Descriptor[]> {
  const diffIds = (JSON.parse(push.row.config) as ImageConfig).rootfs.diff_ids;
  const stop = new AbortController();
  const options = { ...push.options, signal: AbortSignal.any([push.options.signal, stop.signal]) };
  const ids = layers.map((layer, index) => shortId(diffIds[index] ?? layer.digest));
  for (const id of ids) options.progress({ status: "Preparing", progressDetail: {}, id });
  for (const id of ids.slice(5)) options.progress({ status: "Waiting", progressDetail: {}, id });
  const work = layers.map((layer, index) =>
    push.uploads
      .run(() => pushLayer({ ...push, options }, { layer, id: ids[index] ?? "" }), options.signal)
      .catch((err: unknown) => {
        stop.abort(err);
        throw err;
      }),
  );
  await Promise.allSettled(work);
  if (stop.signal.aborted) throw stop.signal.reason;
  return Promise.all(work);
}

async function pushLayer(push: Push, { layer, id }: { layer: Descriptor; id: string }): Promise<Descriptor> {
  const { context, registry, ref, form, options } = push;
  const blob = await formLayer(push, layer, { form, signal: options.signal });
  if (await registry.has(ref, blob, options)) {
    options.progress({ status: "Layer already exists", progressDetail: {}, id });
    return blob;
  }
  const from = mountable(context, ref, blob.digest);
  const body = () =>
    metered(
      context.content.open(blob.digest),
      new Meter(options.progress, { id, status: "Pushing", total: blob.size }),
    );
  const how = await registry.pushBlob(ref, blob, body, { ...options, ...(from && { mountFrom: from }) });
  options.progress({ status: how === "mounted" ? `Mounted from ${from}` : "Pushed", progressDetail: {}, id });
  return blob;
}

async function pushConfig({ context, registry, ref, options }: Push, config: Descriptor): Promise<void> {
  if (await registry.has(ref, config, options)) return;
  await registry.pushBlob(ref, config, () => context.content.open(config.digest), options);
}

/** Another repository of the same registry that has the blob already. */
function mountable({ db }: Context, { domain, path }: Reference, digest: Digest): string | undefined {
  const prefix = `${domain}/`;
  const known = db.read((q) => repositoriesWithBlob(q, digest));
  return known
    .map((name) => name.slice(prefix.length))
    .find((name, index) => known[index]?.startsWith(prefix) && name !== path);
}

async function* metered(bytes: Bytes, meter: Meter): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) {
    yield piece;
    meter.add(piece.length);
  }
}
