import { Semaphore } from "../../async/mod.ts";
import { EngineError, messageOf } from "../../errors/mod.ts";
import { type Descriptor, digestOf, manifestLimit, mediaTypes } from "../../oci/mod.ts";
import { fromBuffer } from "../../stream/mod.ts";
import type { Build } from "../context.ts";
import type { BuildGraph } from "../graph/graph.ts";
import type { BuildTask } from "../observer.ts";
import { credentialsFor } from "../resolve.ts";
import type { LayerChains, SolvesVertices } from "./chains.ts";
import { clientWriter } from "./client.ts";
import { CacheContents, type ExportedLayer } from "./collect.ts";
import { cacheConfigType } from "./format.ts";
import { type CacheTarget, readTarget } from "./options.ts";
import type { CacheWriter } from "./place.ts";
import { registryWriter } from "./registry.ts";

export interface Exporting {
  readonly graph: BuildGraph;
  readonly solver: SolvesVertices;
  readonly chains: LayerChains;
  /** What earlier builds of the same request had for each place, which is written again with this one's. */
  readonly contents: CacheContents[];
}

const uploadsAtOnce = 3;

/** Writes what the build's steps left to where --cache-to says. Throws what went wrong, unless it is to be ignored. */
export async function exportCaches(build: Build, exporting: Exporting): Promise<void> {
  for (const [index, target] of build.options.cacheExports.map(readTarget).entries()) {
    const contents = exporting.contents[index] ?? new CacheContents();
    exporting.contents[index] = contents;
    const where = target.place.kind === "registry" ? "registry" : "client directory";
    const task = build.output.task(`exporting cache to ${where}`);
    try {
      task.status("preparing build cache for export");
      await contents.add(build, { ...exporting, target });
      await exportCache(build, { contents, target, task });
      task.end();
    } catch (err) {
      build.signal.throwIfAborted();
      task.end(messageOf(err));
      if (!target.ignoreError) throw err;
    }
  }
}

interface OneExport {
  readonly contents: CacheContents;
  readonly target: CacheTarget;
  readonly task: BuildTask;
}

async function exportCache(build: Build, { contents, target, task }: OneExport): Promise<void> {
  const writer = await writerFor(build, target);
  const { layers, config } = contents;
  const slots = new Semaphore(uploadsAtOnce);
  await together(layers.map((layer) => slots.run(() => writeLayer(build, { layer, writer, task }), build.signal)));
  const descriptor = { mediaType: cacheConfigType, digest: digestOf(config), size: config.length };
  task.status(`writing config ${descriptor.digest}`);
  if (!(await writer.has(descriptor))) await writer.write(descriptor, () => fromBuffer(config));
  const { mediaType, bytes } = manifestOf(target, { config: descriptor, layers: layers.map(({ blob }) => blob) });
  const root = { mediaType, digest: digestOf(bytes), size: bytes.length };
  task.status(`writing cache ${target.form === "index" ? "" : "image "}manifest ${root.digest}`);
  await writer.publish(root, bytes);
}

/** The first failure is the one to tell, when nothing is under way any more. */
async function together(work: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(work);
  await Promise.all(work);
}

async function writeLayer(
  { context }: Build,
  { layer, writer, task }: { layer: ExportedLayer; writer: CacheWriter; task: BuildTask },
): Promise<void> {
  const { blob } = layer;
  if (await writer.has(blob)) return;
  task.status(`writing layer ${blob.digest}`);
  await writer.write(blob, () => context.content.open(blob.digest));
}

async function writerFor({ context, options, signal }: Build, { place }: CacheTarget): Promise<CacheWriter> {
  if (place.kind === "registry") {
    const auth = await credentialsFor(place.ref, { options, signal });
    return registryWriter({ registry: context.registry, ref: place.ref, signal, ...(auth && { auth }) });
  }
  const { directory } = place;
  const published = (manifest: Descriptor) => options.cachePublished?.({ directory, manifest });
  return clientWriter({ session: options.session, directory, signal, published });
}

interface Parts {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** BuildKit's two forms of a cache: an image's manifest with a config of another kind, or an index that has the layers themselves. */
function manifestOf({ form, docker }: CacheTarget, { config, layers }: Parts) {
  const mediaType =
    form === "manifest" ? mediaTypes.manifest : docker ? mediaTypes.dockerManifestList : mediaTypes.index;
  const parts = form === "manifest" ? { config, layers } : { manifests: [...layers, config] };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...parts }));
  if (bytes.length <= manifestLimit) return { mediaType, bytes };
  throw new EngineError("invalid", `the cache has ${layers.length} layers, which is too many for one manifest`);
}
