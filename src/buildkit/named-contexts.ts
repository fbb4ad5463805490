import { EngineError } from "../errors/mod.ts";
import type { Image } from "../images/mod.ts";
import { type Digest, isDigest } from "../oci/mod.ts";
import { readIgnoreFile } from "../patterns/mod.ts";
import { batched, writeTar } from "../stream/mod.ts";
import { textsOf } from "./definition.ts";
import { syncFiles } from "./file-sync.ts";
import { layoutArchive } from "./layouts.ts";
import type { Session } from "./session.ts";
import { type BuildKitEngine, type Solving, within } from "./solve.ts";
import type { StatusFeed } from "./status.ts";

/** A context beside the main one, which FROM and --from know by its name. */
export type NamedContext =
  | { readonly kind: "image"; readonly ref: string }
  /** What the client calls the directory. */
  | { readonly kind: "local"; readonly directory: string }
  /** One of the client's content stores, and what of it. */
  | { readonly kind: "layout"; readonly store: string; readonly digest: Digest }
  /** A git repository, or a file. */
  | { readonly kind: "url"; readonly url: string };

/** `docker-image://REF`, `local:NAME`, `oci-layout://STORE@DIGEST`, or a URL (BuildKit frontend/dockerui/namedcontext.go). Throws "not-implemented" for other kinds, "invalid" for a URL with a password. */
export function parseContext(name: string, value: string): NamedContext {
  if (value.startsWith("docker-image://")) return { kind: "image", ref: value.slice("docker-image://".length) };
  if (value.startsWith("local:")) return { kind: "local", directory: value.slice("local:".length) };
  if (/^(?:https?:\/\/|git:\/\/|ssh:\/\/|git@)/.test(value)) return urlContext(name, value);
  const [, store, digest = ""] = /^oci-layout:\/\/([^:@]+)(?::[^@]*)?@(.*)$/.exec(value) ?? [];
  if (store !== undefined && isDigest(digest)) return { kind: "layout", store, digest };
  throw new EngineError(
    "not-implemented",
    `the named context ${name}=${value} is not implemented by Berth: directories, images, layouts by digest, git repositories and URLs are`,
  );
}

export function parseContexts(values: Readonly<Record<string, string>>): Record<string, NamedContext> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, parseContext(name, value)]));
}

/** For checks, which open nothing: an image by its reference, anything else as if it were empty. */
export function withoutFiles(values: Readonly<Record<string, string>>): Record<string, string> {
  const named = Object.entries(parseContexts(values));
  return Object.fromEntries(named.map(([name, one]) => [name, one.kind === "image" ? one.ref : "scratch"]));
}

/** The URL becomes an instruction, which the cache remembers. */
function urlContext(name: string, url: string): NamedContext {
  if (!/^https?:\/\/[^/]*@/.test(url)) return { kind: "url", url };
  const instead = "use --secret id=GIT_AUTH_TOKEN or GIT_AUTH_HEADER";
  throw new EngineError("invalid", `the URL of the named context ${name} has a user: ${instead}`);
}

export interface ContextsRequest {
  readonly contexts: Readonly<Record<string, NamedContext>>;
  readonly session: Session | undefined;
  readonly feed: Pick<StatusFeed, "own">;
  readonly signal: AbortSignal;
  readonly options: Solving["options"];
  /** Takes the images of directories and URLs away again. */
  readonly undo: AsyncDisposableStack;
}

/** What each name stands for: a directory of the client is an image for as long as the build takes. */
export async function openContexts(engine: BuildKitEngine, request: ContextsRequest): Promise<Record<string, string>> {
  const found = Object.entries(request.contexts).map(async ([name, context]) => {
    switch (context.kind) {
      case "image":
        return [name, context.ref] as const;
      case "local":
        return [name, await directoryImage(engine, request, { name, directory: context.directory })] as const;
      case "layout":
        return [name, await layoutImage(engine, request, { ...context, name })] as const;
      case "url":
        return [name, await urlImage(engine, request, { name, url: context.url })] as const;
      default:
        return context satisfies never;
    }
  });
  return Object.fromEntries(await Promise.all(found));
}

async function directoryImage(
  engine: BuildKitEngine,
  { session, feed, signal, undo }: ContextsRequest,
  { name, directory }: { name: string; directory: string },
): Promise<string> {
  if (!session)
    throw new EngineError("invalid", `the named context ${name} is the client's, but the build names no session`);
  const step = feed.own(`[context ${name}] load from client`);
  return within(step, async () => {
    const ignore = (await textsOf({ session, signal }, { directory, wanted: [ignoreFile] })).get(ignoreFile) ?? "";
    const files = batched(writeTar(syncFiles(session, { directory, excludes: readIgnoreFile(ignore), signal })));
    return passing({ engine, undo }, () => engine.import(files, signal));
  });
}

function layoutImage(
  engine: BuildKitEngine,
  { session, feed, signal, undo, options }: ContextsRequest,
  { name, store: id, digest }: { name: string; store: string; digest: Digest },
): Promise<string> {
  const store = session?.store(`oci:${id}`); // as BuildKit's clients call it
  if (!store) throw new EngineError("invalid", `the named context ${name}: the client has no content store ${id}`);
  return within(feed.own(`[context ${name}] load from client`), async () => {
    const archive = await layoutArchive(store, { digest, platform: options.platform, signal });
    return passing({ engine, undo }, () => engine.load(archive, signal));
  });
}

/** The same as an ADD of it, so that the cache knows it, and whoever may read it. */
function urlImage(
  engine: BuildKitEngine,
  { session, feed, signal, undo, options }: ContextsRequest,
  { name, url }: { name: string; url: string },
): Promise<string> {
  const dockerfileText = `FROM scratch\nADD ${JSON.stringify([url.replace(/[\\$]/g, "\\$&"), "/"])}\n`;
  return within(feed.own(`[context ${name}] ${url}`), async () => {
    const apart = { dockerfileText, ignore: [] };
    const files = await engine.receive(writeTar([]), { dockerfile: "Dockerfile", apart, signal });
    const { target: _, ...others } = options;
    const caches = { cacheFrom: [], cacheImports: [], cacheExports: [], inlineCache: false };
    const own = { tags: [], args: {}, labels: {}, quiet: true, ...caches };
    const told = { progress: () => undefined, signal, ...(session && { session }) };
    return passing({ engine, undo }, () => engine.builder.build(files, { ...others, ...own, ...told }));
  });
}

/** Each directory has its own. */
const ignoreFile = ".dockerignore";

interface Passing {
  readonly engine: BuildKitEngine;
  readonly undo: AsyncDisposableStack;
}

/** An image that goes with the build, unless it was here before. */
async function passing({ engine, undo }: Passing, make: () => Promise<Image>): Promise<string> {
  const known = engine.imageIds();
  const image = await make();
  if (!known.has(image.id)) undo.defer(() => engine.discard(image));
  return image.id;
}
