import type { Query } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import {
  type Descriptor,
  type Digest,
  decodeIndex,
  decodeManifest,
  familiar,
  type ImageConfig,
  mediaTypes,
  parseReference,
  type Reference,
} from "../oci/mod.ts";
import { type Bytes, fromBuffer, type TarEntry, writeTar } from "../stream/mod.ts";
import { attestedIndex } from "./archived-attestations.ts";
import { type Artifact, statementsOf } from "./attestations.ts";
import { announce, type Context } from "./context.ts";
import { requireRow, tryReference } from "./find.ts";
import { type FormParts, formLayer, requireForm } from "./form.ts";
import type { ImageForm, SaveOptions } from "./images.ts";
import { indexFor } from "./index-of.ts";
import { requirePlatform } from "./platform.ts";
import { type ImageRow, imageById, type LayerRow, layersOf, namesOfRepository } from "./table.ts";
import { formManifest } from "./write-manifest.ts";

interface Saved {
  readonly row: ImageRow;
  readonly layers: readonly LayerRow[];
  readonly names: Reference[];
}

/**
 * One archive with all images: an OCI layout with docker's `manifest.json` beside it, as docker writes it since version 25.
 * Each blob once, in the form in which it is stored; times are zero, so the same images give the same bytes.
 * Names and platform are checked before this returns.
 */
export function saveImages(parts: FormParts, refs: readonly string[], options: SaveOptions): Bytes {
  const { context } = parts;
  const { form, signal, asIndex = false } = options;
  if (form) requireForm(form);
  const images = context.db.read((q) => chosen(q, refs));
  for (const { names } of images) names.push(...(options.names ?? []));
  if (options.platform) for (const { row } of images) requirePlatform(row, options.platform);
  context.db.write((tx) => {
    for (const { row } of images) {
      const { config } = JSON.parse(row.config) as ImageConfig;
      announce(context, tx, { action: "save", id: row.id, name: row.id, labels: config?.Labels });
    }
  });
  return writeTar(
    form ? formedEntries(parts, images, { form, signal, asIndex }) : entries(context, images, { signal, asIndex }),
  );
}

interface Writing {
  readonly signal: AbortSignal;
  readonly asIndex: boolean;
}

/** What is made for the archive alone stays as long as somebody reads it. */
async function* formedEntries(
  parts: FormParts,
  images: readonly Saved[],
  { form, ...writing }: Writing & { readonly form: ImageForm },
): AsyncGenerator<TarEntry> {
  const read = Promise.withResolvers<void>();
  const formed = Promise.withResolvers<Saved[]>();
  const held = parts.context.leases.hold(async () => {
    formed.resolve(await Promise.all(images.map((image) => formSaved(parts, image, { form, signal: writing.signal }))));
    await read.promise;
  });
  held.catch(formed.reject);
  try {
    yield* entries(parts.context, await formed.promise, writing);
  } finally {
    read.resolve();
    await held;
  }
}

async function formSaved(
  parts: FormParts,
  saved: Saved,
  options: { readonly form: ImageForm; readonly signal: AbortSignal },
): Promise<Saved> {
  const { content } = parts.context;
  const { row, names } = saved;
  const stored = await content.read(row.manifest);
  const manifest = decodeManifest(stored, row.manifest_type);
  const blobs: Descriptor[] = [];
  for (const layer of manifest.layers) blobs.push(await formLayer(parts, layer, options));
  const whole = { stored, type: row.manifest_type, manifest };
  const { bytes, mediaType } = formManifest(whole, { layers: blobs, form: options.form });
  const written = { manifest: await content.put(bytes), manifest_type: mediaType, manifest_size: bytes.length };
  const layers = saved.layers.map((layer, index) => ({ ...layer, digest: blobs[index]?.digest ?? layer.digest }));
  return { row: { ...row, ...written }, layers, names };
}

/** By name with that name; a repository without a tag with all its tags; by id without a name. */
function chosen(q: Query, refs: readonly string[]): Saved[] {
  const images = new Map<Digest, Saved>();
  const add = (row: ImageRow, names: readonly Reference[]) => {
    const saved = images.get(row.id) ?? { row, layers: layersOf(q, row.id), names: [] };
    const known = new Set(saved.names.map(familiar));
    saved.names.push(...names.filter((name) => !known.has(familiar(name))));
    images.set(row.id, saved);
  };
  for (const text of refs) {
    const ref = tryReference(text);
    const tags = ref && !ref.tag && !ref.digest ? namesOfRepository(q, `${ref.domain}/${ref.path}`) : [];
    const named = tags.filter((name) => name.is_digest === 0);
    for (const name of named) {
      const row = imageById(q, name.image);
      if (row) add(row, [parseReference(name.name)]);
    }
    if (named.length > 0) continue;
    const row = requireRow(q, text);
    const byId = row.id.startsWith(text) || row.id.startsWith(`sha256:${text}`);
    add(row, ref?.tag && !byId ? [ref] : []);
  }
  return [...images.values()];
}

async function* entries(
  context: Context,
  images: readonly Saved[],
  { signal, asIndex }: Writing,
): AsyncGenerator<TarEntry> {
  const { content } = context;
  const blobs = blobsOf(images);
  for (const digest of blobs) {
    signal.throwIfAborted();
    const info = content.info(digest);
    if (!info) throw new EngineError("not-found", `Blob ${digest} went away while the image was saved`);
    yield entry(pathOf(digest), { size: info.size, bytes: content.open(digest) });
  }
  const attested = await attestedOf(context, images);
  for (const [digest, bytes] of written(attested)) {
    if (!blobs.includes(digest)) yield entry(pathOf(digest), { size: bytes.length, bytes: fromBuffer(bytes) });
  }
  for (const [name, bytes] of asIndex ? indexFiles(images, attested) : imageFiles(images, attested)) {
    yield entry(name, { size: bytes.length, bytes: fromBuffer(bytes) });
  }
}

type File = readonly [name: string, bytes: Uint8Array];

const layoutFile = jsonFile("oci-layout", { imageLayoutVersion: "1.0.0" });

function imageFiles(images: readonly Saved[], attested: Attested): File[] {
  const index = jsonFile("index.json", indexOf(images, attested));
  return [index, jsonFile("manifest.json", images.map(dockerItem)), layoutFile];
}

/** docker's `manifest.json` has no place for it. */
function indexFiles(images: readonly Saved[], attested: Attested): File[] {
  const { descriptor, bytes } = indexFor(
    images.flatMap(({ row }) => {
      const said = attested.get(row.id);
      return said ? decodeIndex(said.bytes).manifests : [manifestOf(row)];
    }),
  );
  const names = images[0]?.names ?? [];
  const named = names.map((name) => ({ ...descriptor, annotations: annotationsOf(name) }));
  const manifests = names.length === 0 ? [descriptor] : named;
  const index = jsonFile("index.json", { schemaVersion: 2, mediaType: mediaTypes.index, manifests });
  return [[pathOf(descriptor.digest), bytes], index, layoutFile];
}

function jsonFile(name: string, value: unknown): File {
  return [name, Buffer.from(JSON.stringify(value))];
}

/** By image, for those that something is said about. */
type Attested = ReadonlyMap<Digest, Artifact>;

async function attestedOf(context: Context, images: readonly Saved[]): Promise<Attested> {
  const attested = new Map<Digest, Artifact>();
  for (const { row, names } of images) {
    const statements = await statementsOf(context, { row, digest: row.manifest, names });
    if (statements.length > 0) attested.set(row.id, attestedIndex(statements, manifestOf(row)));
  }
  return attested;
}

function written(attested: Attested): ReadonlyMap<Digest, Uint8Array> {
  const all = [...attested.values()].flatMap(({ manifest, bytes, blobs }) => [
    { descriptor: manifest, bytes },
    ...blobs,
  ]);
  return new Map(all.map(({ descriptor, bytes }) => [descriptor.digest, bytes]));
}

function manifestOf(row: ImageRow): Descriptor {
  const { os, architecture, variant } = JSON.parse(row.config) as ImageConfig;
  const platform = { os, architecture, ...(variant && { variant }) };
  return { mediaType: row.manifest_type, digest: row.manifest, size: row.manifest_size, platform };
}

function blobsOf(images: readonly Saved[]): Digest[] {
  const all = images.flatMap(({ row, layers }) => [row.id, row.manifest, ...layers.map((layer) => layer.digest)]);
  return [...new Set(all)].sort();
}

function indexOf(images: readonly Saved[], attested: Attested) {
  const manifests = images.flatMap(({ row, names }) => {
    const base = attested.get(row.id)?.manifest ?? manifestOf(row);
    if (names.length === 0) return [base];
    return names.map((name) => ({ ...base, annotations: annotationsOf(name) }));
  });
  return { schemaVersion: 2, mediaType: mediaTypes.index, manifests };
}

function annotationsOf(name: Reference): Record<string, string> {
  return {
    "io.containerd.image.name": `${name.domain}/${name.path}:${name.tag}`,
    "org.opencontainers.image.ref.name": name.tag ?? "",
  };
}

function dockerItem({ row, layers, names }: Saved) {
  const tags = names.map(familiar);
  return {
    Config: pathOf(row.id),
    RepoTags: tags.length > 0 ? tags : null,
    Layers: layers.map((layer) => pathOf(layer.digest)),
  };
}

function entry(name: string, { size, bytes }: { size: number; bytes: Bytes }): TarEntry {
  const header = {
    name: Buffer.from(name),
    type: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: BigInt(size),
    mtime: 0n,
  } as const;
  return { header, content: bytes };
}

function pathOf(digest: Digest): string {
  return `blobs/${digest.replace(":", "/")}`;
}
