import type { BuildContext, Builder, BuildOptions, ReceiveOptions } from "../builder/mod.ts";
import { EngineError, messageOf } from "../errors/mod.ts";
import type { Image, ImageForm, PushImageOptions } from "../images/mod.ts";
import type { Descriptor, Reference } from "../oci/mod.ts";
import { type Bytes, writeTar } from "../stream/mod.ts";
import { attestedBy } from "./attestations.ts";
import { receiveFiles } from "./changed-files.ts";
import { readDefinition } from "./definition.ts";
import { shownMessage } from "./error-details.ts";
import { type Exported, exportBuild } from "./export.ts";
import type { Exporter } from "./exporter.ts";
import type { Provenance } from "./history/complete.ts";
import { type NamedContext, openContexts } from "./named-contexts.ts";
import { exportPlatforms, type Part } from "./platforms.ts";
import type { Session } from "./session.ts";
import type { OwnStep, StatusFeed } from "./status.ts";
import { words } from "./words.ts";

/** What the engine does for BuildKit's clients. */
export interface BuildKitEngine {
  readonly builder: Builder;
  /** Takes in a context; see `receiveContext` of the builder. */
  receive(tar: Bytes, options: ReceiveRequest): Promise<BuildContext>;
  /** The same from a URL. */
  fetch(url: string, options: ReceiveRequest & Pick<BuildOptions, "args" | "session">): Promise<BuildContext>;
  /** One image, or one index of them, as an archive, in OCI's form and docker's, under these names. */
  archive(images: readonly Image[], options: ArchiveOptions): Bytes;
  /** See `ImageTransfer.pushImage`. Credentials are the request's own, or the session's. */
  push(image: Image, ref: Reference, options: PushOptions): Promise<Descriptor>;
  /** See `ImageTransfer.pushIndex`. */
  pushIndex(images: readonly Image[], ref: Reference, options: PushOptions): Promise<Descriptor>;
  /** The image's files as an archive. */
  files(image: Image, signal: AbortSignal): Bytes;
  /** Files as an image without a name. */
  import(tar: Bytes, signal: AbortSignal): Promise<Image>;
  /** The one image of an archive, without a name. */
  load(archive: Bytes, signal: AbortSignal): Promise<Image>;
  /** What it says that it is made from. */
  provenance(image: Image): Promise<Provenance | undefined>;
  imageIds(): ReadonlySet<string>;
  /** Removes an image that has no name. */
  discard(image: Image): Promise<void>;
  /** What builds run on, as clients ask for it. */
  worker(): Worker;
}

export type PushOptions = Omit<PushImageOptions, "auth"> & Pick<BuildOptions, "registryAuth" | "session">;

export interface ArchiveOptions {
  readonly names: readonly string[];
  readonly asIndex?: boolean;
  readonly form?: ImageForm;
  readonly signal: AbortSignal;
}

export interface Worker {
  readonly id: string;
  readonly labels: Record<string, string>;
  readonly platforms: { readonly os: string; readonly architecture: string; readonly variant?: string }[];
  readonly buildkitVersion: { readonly package: string; readonly version: string; readonly revision: string };
}

export interface ReceiveRequest {
  readonly dockerfile: string;
  readonly apart?: NonNullable<ReceiveOptions["apart"]>;
  readonly dockerfileText?: string;
  readonly signal: AbortSignal;
}

/** Where the files of a build come from: the client's directories, the body of another request, or elsewhere. */
export type Source =
  | { readonly kind: "session"; readonly context: string; readonly dockerfile: string }
  | { readonly kind: "upload"; readonly bytes: Bytes }
  /** `beside`: the client's directory that has the Dockerfile, when the context has not. */
  | { readonly kind: "remote"; readonly url: string; readonly beside?: string };

export interface Solving {
  readonly session: Session | undefined;
  readonly source: Source;
  /** Path of the Dockerfile. */
  readonly filename: string;
  readonly options: Omit<
    BuildOptions,
    "tags" | "cacheFrom" | "contexts" | "session" | "observer" | "progress" | "words" | "signal"
  >;
  /** What the result is for together; undefined for the one of the options. */
  readonly platforms?: readonly string[];
  /** At least one. */
  readonly exporters: readonly Exporter[];
  readonly contexts: Readonly<Record<string, NamedContext>>;
  readonly feed: StatusFeed;
  readonly signal: AbortSignal;
}

/** One build from its files to its outputs, told to the feed, which is complete afterwards. */
export async function solve(engine: BuildKitEngine, solving: Solving): Promise<Exported> {
  const { feed, options, contexts: named, session, signal } = solving;
  try {
    await using undo = new AsyncDisposableStack();
    const contexts = await openContexts(engine, { contexts: named, session, feed, signal, options, undo });
    const files = await contextOf(engine, solving);
    const progress: BuildOptions["progress"] = (message) => feed.pulled(message);
    const attest = attestedBy(solving.exporters, options.attest);
    const hears = { observer: feed, progress, words, signal };
    const told = { attest, cacheFrom: [], contexts, ...hears, ...(session && { session }) };
    const { platforms } = solving;
    if (platforms) {
      const each = (parts: readonly Part[]) => parts.map((part) => ({ ...options, tags: [], ...told, ...part }));
      const build = (parts: readonly Part[]) => engine.builder.buildEach(files, each(parts));
      return await exportPlatforms(engine, solving, { platforms, build });
    }
    return await exportBuild(engine, solving, (tags) => engine.builder.build(files, { ...options, tags, ...told }));
  } catch (err) {
    feed.failed(shownMessage(err, engine.builder));
    throw err;
  } finally {
    feed.close();
  }
}

/** What it takes to find the files of a build. */
export type Locating = Pick<Solving, "session" | "source" | "filename" | "feed" | "signal"> & {
  readonly options: Pick<Solving["options"], "args">;
};

/** A context to look into only: of the client's directories no more than the Dockerfile and what is ignored. */
export async function definitionContext(engine: BuildKitEngine, locating: Locating): Promise<BuildContext> {
  const { session, source: directories, filename, feed, signal } = locating;
  if (directories.kind !== "session") return contextOf(engine, locating);
  if (!session) throw new EngineError("invalid", "the Dockerfile is the client's, but the build names no session");
  const { text, ignored } = await readDefinition({ session, directories, filename, feed, signal });
  const apart = { dockerfileText: text, ignore: ignored };
  return engine.receive(writeTar([]), { dockerfile: filename, apart, signal });
}

function contextOf(engine: BuildKitEngine, solving: Locating): Promise<BuildContext> {
  const { source, filename: dockerfile, feed, signal } = solving;
  switch (source.kind) {
    case "session":
      return sessionContext(engine, { solving, source });
    case "upload":
      return within(feed.own("[internal] load remote build context"), () =>
        engine.receive(source.bytes, { dockerfile, signal }),
      );
    case "remote":
      return remoteContext(engine, { solving, source });
    default:
      return source satisfies never;
  }
}

interface FromRemote {
  readonly solving: Locating;
  readonly source: Source & { kind: "remote" };
}

async function remoteContext(engine: BuildKitEngine, { solving, source }: FromRemote): Promise<BuildContext> {
  const { filename: dockerfile, feed, options, session, signal } = solving;
  const { url, beside } = source;
  if (!session && beside !== undefined)
    throw new EngineError("invalid", "the Dockerfile is the client's, but the build names no session");
  const request = { directories: { dockerfile: beside ?? "" }, filename: dockerfile, feed, signal };
  const definition = session && beside !== undefined ? await readDefinition({ ...request, session }) : undefined;
  const asked = { dockerfile, signal, ...(definition && { dockerfileText: definition.text }) };
  if (url.startsWith(sessionUrl)) return sessionUpload(engine, { solving, asked, url: new URL(url) });
  return within(feed.own(`[internal] load build context from ${withoutSecrets(url)}`), () =>
    engine.fetch(url, { ...asked, args: options.args, ...(session && { session }) }),
  );
}

/** The host of contexts that a client reads from its standard input. */
const sessionUrl = "http://buildkit-session/";

interface Uploading {
  readonly solving: Locating;
  readonly asked: ReceiveRequest;
  readonly url: URL;
}

function sessionUpload(engine: BuildKitEngine, { solving, asked, url }: Uploading): Promise<BuildContext> {
  const { session, feed, signal } = solving;
  if (!session) throw new EngineError("invalid", "the context is the client's, but the build names no session");
  const receive = () => engine.receive(session.uploaded(url, signal), asked);
  return within(feed.own("[internal] load remote build context"), receive);
}

/** URLs may hold a password, which is nobody's business who reads the build's output. */
function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//***@");
}

interface FromSession {
  readonly solving: Locating;
  readonly source: Source & { kind: "session" };
}

async function sessionContext(engine: BuildKitEngine, { solving, source }: FromSession): Promise<BuildContext> {
  const { session, filename, feed, signal } = solving;
  if (!session) throw new EngineError("invalid", "the context is the client's, but the build names no session");
  const { text: dockerfileText, ignored: ignore } = await readDefinition({
    session,
    directories: source,
    filename,
    feed,
    signal,
  });
  const step = feed.own("[internal] load build context");
  const sent = throttled((current) => step.status("transferring context", { current }));
  const files = { directory: source.context, excludes: ignore, onBytes: sent.tell, signal };
  const apart = { dockerfileText, ignore };
  return within(step, async () => {
    const context = await receiveFiles(engine, { session, files, dockerfile: filename, apart });
    sent.end();
    return context;
  });
}

export async function within<T>(step: OwnStep, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work();
    step.end();
    return result;
  } catch (err) {
    step.end(messageOf(err));
    throw err;
  }
}

/** Tells the first number, then ten a second, and the last at the end. */
function throttled(tell: (value: number) => void): { tell(value: number): void; end(): void } {
  let next = 0;
  let untold: number | undefined;
  return {
    tell(value) {
      untold = value;
      if (Date.now() < next) return;
      next = Date.now() + 100;
      untold = undefined;
      tell(value);
    },
    end() {
      if (untold !== undefined) tell(untold);
    },
  };
}
