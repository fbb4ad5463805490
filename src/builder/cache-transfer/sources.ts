import { EngineError, messageOf } from "../../errors/mod.ts";
import type { Image } from "../../images/mod.ts";
import type { Platform } from "../../oci/mod.ts";
import type { Build } from "../context.ts";
import { parsePlatform } from "../graph/platform.ts";
import { inlineEntries } from "../inline-cache.ts";
import { credentialsFor } from "../resolve.ts";
import { clientReader } from "./client.ts";
import { decodeInline } from "./decode.ts";
import type { RemoteCache } from "./format.ts";
import { type CacheSource, readSource } from "./options.ts";
import type { CacheReader } from "./place.ts";
import { readCache } from "./read.ts";
import { registryReader } from "./registry.ts";

/** A cache that is being read. */
export interface OpenSource {
  readonly name: string;
  readonly reader: CacheReader;
  /** undefined when it cannot be had, which has been told. */
  readonly cache: Promise<RemoteCache | undefined>;
  /** For an image that is here: makes sure that its snapshots are. False for what is elsewhere. */
  unpacked(): Promise<boolean>;
}

/** Throws as `readSource` does. */
export function openSources(build: Build): OpenSource[] {
  const { images } = build.context;
  const { cacheFrom, cacheImports } = build.options;
  const here = cacheFrom.flatMap((name) => images.find(name) ?? []).map((image) => imageSource(build, image));
  return [...here, ...cacheImports.map(readSource).map((source) => openSource(build, source))];
}

/** A name may stand for an image here, which then need not be asked for elsewhere. */
function openSource(build: Build, source: CacheSource): OpenSource {
  const { name } = source;
  const image = source.kind === "registry" ? build.context.images.find(name) : undefined;
  const here = image && imageSource(build, image);
  const task = build.output.task(`importing cache manifest from ${name}`);
  let opening: Promise<CacheReader> | undefined;
  const opened = () => {
    opening ??= openReader(build, source);
    return opening;
  };
  const read = async (): Promise<{ cache: RemoteCache; inline: boolean }> => {
    const inline = await here?.cache;
    if (inline) return { cache: inline, inline: true };
    return { cache: await readCache(await opened(), platformOf(build)), inline: false };
  };
  const found = read().then(
    (one) => {
      task.end();
      return one;
    },
    (err) => {
      if (build.signal.aborted)
        task.end(); // the build is over, and needed nothing of it
      else task.end(messageOf(err));
      return undefined;
    },
  );
  return {
    name,
    cache: found.then((one) => one?.cache),
    reader: { root: async () => (await opened()).root(), read: async (target) => (await opened()).read(target) },
    unpacked: async () => (await found)?.inline === true && here !== undefined && (await here.unpacked()),
  };
}

async function openReader({ context, options, signal }: Build, source: CacheSource): Promise<CacheReader> {
  if (source.kind === "local") return clientReader({ ...source, session: options.session, signal });
  const auth = await credentialsFor(source.ref, { options, signal });
  return registryReader({ registry: context.registry, ref: source.ref, signal, ...(auth && { auth }) });
}

/** An image here with a cache in its config; others have none. Its layers are snapshots, so that nothing is fetched. */
function imageSource({ context }: Build, image: Image): OpenSource {
  const { images, content } = context;
  const read = async () => {
    const config = await content.read(image.id);
    if (inlineEntries(JSON.parse(Buffer.from(config).toString("utf8"))).length === 0) return undefined;
    return decodeInline(config, { layers: images.layers(image) });
  };
  const root = () => Promise.reject(new EngineError("internal", `${image.id} is read as an image`));
  const reader: CacheReader = { root, read: ({ digest }) => content.open(digest) };
  const cache = read().catch((err: unknown) => {
    context.log.debug("an image's inline cache cannot be read", { image: image.id, error: messageOf(err) });
    return undefined;
  });
  return { name: image.id, cache, reader, unpacked: () => images.rootfs(image).then(() => true) };
}

function platformOf({ context, options }: Build): Platform {
  return options.platform ? parsePlatform(options.platform, context.config.platform) : context.config.platform;
}
