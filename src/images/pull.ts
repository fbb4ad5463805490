import type { Semaphore } from "../async/mod.ts";
import { canonical, type Descriptor, type Digest, familiar, type Reference } from "../oci/mod.ts";
import type { RegistryClient } from "../registry-client/mod.ts";
import { announce, type Context } from "./context.ts";
import { Download, shortId } from "./download.ts";
import type { Image, TransferOptions } from "./images.ts";
import { type RemoteImage, readRemote } from "./pull-manifest.ts";
import { recordImage } from "./register.ts";
import { imageById, imageOfName, layersOf } from "./table.ts";

export interface PullParts {
  readonly context: Context;
  readonly registry: RegistryClient;
  /** How many layers arrive at once, over all pulls. */
  readonly downloads: Semaphore;
}

/** See `ImageTransfer.pull`. `ref` has a tag or a digest. A pull that fails leaves nothing: what arrived is garbage without a name. */
export async function pullImage(parts: PullParts, ref: Reference, options: TransferOptions): Promise<Image> {
  const { context, registry } = parts;
  try {
    return await context.leases.hold(async () => {
      const remote = await readRemote({ registry, ref, options });
      const tagOrDigest = ref.digest ?? ref.tag;
      options.progress({ status: `Pulling from ${ref.path}`, ...(tagOrDigest && { id: tagOrDigest }) });
      const before = context.db.read((q) => imageOfName(q, nameOf(ref)));
      if (!isHere(context, remote)) await fetchLayers(parts, { ref, remote, options });
      const image = await record(context, { ref, remote, options });
      sayStatus(ref, { digest: remote.named.digest, isNew: before !== image.id, options });
      return image;
    });
  } catch (err) {
    await context.collector.collect();
    throw err;
  }
}

interface Pull {
  readonly ref: Reference;
  readonly remote: RemoteImage;
  readonly options: TransferOptions;
}

/** The name that decides whether the image is new: of the digest when one was asked for. */
function nameOf({ domain, path, tag, digest }: Reference): string {
  return canonical({ domain, path, ...(digest ? { digest } : tag && { tag }) });
}

function isHere(context: Context, { descriptor, manifest }: RemoteImage): boolean {
  const row = context.db.read((q) => imageById(q, manifest.config.digest));
  if (row?.manifest !== descriptor.digest || !context.content.info(descriptor.digest)) return false;
  const rows = context.db.read((q) => layersOf(q, row.id));
  return rows.every((layer) => context.content.info(layer.digest) && context.layers.chain(layer.chain));
}

function record(context: Context, { ref, remote, options }: Pull): Promise<Image> {
  const { domain, path, tag } = ref;
  const byDigest: Reference = { domain, path, digest: remote.named.digest };
  return context.content.put(remote.manifestBytes).then(() =>
    recordImage(context, {
      config: remote.configBytes,
      manifest: remote.descriptor,
      layers: remote.manifest.layers,
      names: tag && !ref.digest ? [{ domain, path, tag }, byDigest] : [byDigest],
      replace: true,
      unpack: { signal: options.signal },
      recorded: (tx, { run }) => {
        const { tag: _, digest: __, ...repository } = ref;
        announce(context, tx, { action: "pull", id: familiar(ref), name: familiar(repository), labels: run.Labels });
      },
    }),
  );
}

function sayStatus(ref: Reference, said: { digest: Digest; isNew: boolean; options: TransferOptions }): void {
  const { digest, isNew, options } = said;
  const name = familiar(ref);
  options.progress({ status: `Digest: ${digest}` });
  options.progress({
    status: isNew ? `Status: Downloaded newer image for ${name}` : `Status: Image is up to date for ${name}`,
  });
}

/** Downloads and unpacks at the same time; the first failure ends both. */
async function fetchLayers(parts: PullParts, { ref, remote, options }: Pull): Promise<void> {
  const { context } = parts;
  const { progress } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const downloads = new Map<Digest, Download>();
  await using undo = new AsyncDisposableStack();
  for (const layer of missingLayers(context, remote)) {
    const download = new Download(layer, await context.content.ingest({ digest: layer.digest, size: layer.size }));
    undo.defer(() => download.abandon(signal.reason ?? new Error("The pull ended")));
    downloads.set(layer.digest, download);
  }
  sayStart(remote, { downloads, progress });
  const fail = async (err: unknown) => {
    stop.abort(err);
    for (const download of downloads.values()) await download.abandon(err);
    throw err;
  };
  const arrivals = [...downloads.values()].map((download) =>
    receive(parts, { ref, download, options: { ...options, signal } }),
  );
  const work = [...arrivals, unpack(context, { remote, downloads, options: { ...options, signal } })];
  const results = await Promise.allSettled(work.map((one) => one.catch(fail)));
  if (results.some((result) => result.status === "rejected")) throw stop.signal.reason;
}

/** Layers whose blob or chain is not here, each blob once. */
function missingLayers({ content }: Context, { manifest }: RemoteImage): Descriptor[] {
  const unique = new Map(manifest.layers.map((layer) => [layer.digest, layer]));
  return [...unique.values()].filter((layer) => !content.info(layer.digest));
}

function sayStart(
  { manifest }: RemoteImage,
  { downloads, progress }: { downloads: ReadonlyMap<Digest, Download> } & Pick<TransferOptions, "progress">,
): void {
  for (const { digest } of manifest.layers) {
    const status = downloads.has(digest) ? "Pulling fs layer" : "Already exists";
    progress({ status, progressDetail: {}, id: shortId(digest) });
  }
  for (const digest of [...downloads.keys()].slice(3))
    progress({ status: "Waiting", progressDetail: {}, id: shortId(digest) });
}

interface Arrival {
  readonly ref: Reference;
  readonly download: Download;
  readonly options: TransferOptions;
}

function receive({ registry, downloads }: PullParts, { ref, download, options }: Arrival): Promise<void> {
  const { signal, progress } = options;
  return downloads.run(async () => {
    const bytes = await registry.fetch(ref, download.blob, { ...options, signal });
    await download.receive(bytes, progress);
    const { size, digest } = download.blob;
    progress({ status: "Extracting", progressDetail: { current: size, total: size }, id: shortId(digest) });
  }, signal);
}

interface Unpacking {
  readonly remote: RemoteImage;
  readonly downloads: ReadonlyMap<Digest, Download>;
  readonly options: TransferOptions;
}

/** `Pull complete` when a layer has arrived and is unpacked. */
async function unpack(context: Context, { remote, downloads, options }: Unpacking): Promise<void> {
  const { diff_ids } = remote.config.rootfs;
  const sources = remote.manifest.layers.flatMap((blob, index) => {
    const diffId = diff_ids[index];
    return diffId ? [{ diffId, ...(downloads.get(blob.digest)?.source ?? { blob }) }] : [];
  });
  const open = new Map(sources.map((source) => [source.diffId, downloads.get(source.blob.digest)]));
  const complete = async (diffId: Digest) => {
    const download = open.get(diffId);
    open.delete(diffId);
    if (!download) return;
    await download.source.ready;
    options.progress({ status: "Pull complete", progressDetail: {}, id: shortId(download.blob.digest) });
  };
  const told: Promise<void>[] = [];
  if (sources.length > 0) {
    await context.layers.unpack(sources, {
      signal: options.signal,
      onUnpacked: (diffId) => {
        const done = complete(diffId);
        done.catch(() => undefined); // awaited below, unless unpacking fails first
        told.push(done);
      },
    });
  }
  await Promise.all([...told, ...[...open.keys()].map(complete)]);
}
