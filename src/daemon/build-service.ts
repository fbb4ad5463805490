import { join } from "node:path";
import type { BuildRequest, BuildService } from "../api/mod.ts";
import {
  authFor,
  type BuildObserver,
  type BuildSession,
  fetchContext,
  type PublishedCache,
  type ReceiveOptions,
  receiveContext,
} from "../builder/mod.ts";
import {
  answerCall,
  type BuildKit,
  type BuildKitEngine,
  type PushOptions,
  type ReceiveRequest,
  type Worker,
  withoutFiles,
} from "../buildkit/mod.ts";
import { EngineError, isKind } from "../errors/mod.ts";
import type { Image } from "../images/mod.ts";
import { defaultPlatform, parseReference, type Reference, withDefaultTag } from "../oci/mod.ts";
import { commit, version } from "../version/mod.ts";
import type { BuildStepEvent, ProgressSink } from "../wire/mod.ts";
import type { DaemonConfig } from "./config.ts";
import type { Engine } from "./engine.ts";
import { fetchUrl } from "./fetch.ts";

/** Ids of what is no step. */
const firstTask = 1_000_000;

function stepEvents(progress: ProgressSink): BuildObserver {
  const tell = (aux: BuildStepEvent) => progress({ aux });
  let tasks = firstTask;
  return {
    task: (name) => {
      const Id = tasks++;
      tell({ Steps: [{ Id, Text: name }] });
      tell({ Step: { Id, Event: "started" } });
      return {
        status: (what) => tell({ Step: { Id, Event: "output", Text: `${what}\n` } }),
        end: (failure) => {
          if (failure !== undefined) tell({ Steps: [{ Id, Text: `${name}: ${failure}` }] });
          tell({ Step: { Id, Event: "done" } });
        },
      };
    },
    steps: (steps) => tell({ Steps: steps.map(({ id, text }) => ({ Id: id, Text: text })) }),
    started: (id) => tell({ Step: { Id: id, Event: "started" } }),
    output: (id, text) => tell({ Step: { Id: id, Event: "output", Text: text } }),
    ended: (id, how) => {
      if (how.kind === "failed") tell({ Step: { Id: id, Event: how.kind, Text: how.message } });
      else tell({ Step: { Id: id, Event: how.kind } });
    },
  };
}

const silent = { own: () => ({ status: () => undefined, end: () => undefined }) };

/** What happens before there are steps. */
function stepLines(progress: ProgressSink) {
  return {
    own: (name: string) => {
      progress({ stream: `${name}\n` });
      return { status: () => undefined, end: () => undefined };
    },
  };
}

type Received = Pick<BuildRequest, "query" | "context" | "signal"> & { readonly session?: BuildSession };

/** The classic build: the context as it comes in, then the builder. */
export function createBuildService(
  engine: Engine,
  config: DaemonConfig,
  buildKit: Pick<BuildKit, "sessionOf" | "openContexts">,
): BuildService {
  const { builder } = engine;
  const received = ({ query, context, signal, session }: Received) => {
    const { remote, context: known, dockerfile } = query;
    if (known !== undefined) return builder.contexts.complete(known, { bytes: context, dockerfile, signal });
    const receive = receiveOptions(engine, config, { dockerfile, signal });
    return remote === undefined
      ? receiveContext(context, receive)
      : fetchContext(remote, { ...receive, fetchUrl, args: query.args, ...(session && { session }) });
  };
  return {
    compare: (key, { context: bytes, signal }) => builder.contexts.compare(key, { bytes, signal }),
    async build({ query, context, registryAuth, progress, signal }) {
      const { session: sessionId, namedContexts, ...options } = query;
      const session = sessionId === undefined ? undefined : await buildKit.sessionOf(sessionId, signal);
      await using undo = new AsyncDisposableStack();
      const feed = query.quiet ? silent : stepLines(progress);
      const opening = { sessionId, feed, signal, options: { ...options, registryAuth }, undo };
      const contexts = await buildKit.openContexts(namedContexts, opening);
      const files = await received({ query, context, signal, ...(session && { session }) });
      const cachePublished = (Cache: PublishedCache) => progress({ aux: { Cache } });
      const told = { progress, cachePublished, ...(query.steps && { observer: stepEvents(progress) }) };
      await builder.build(files, { ...options, ...told, contexts, registryAuth, signal, ...(session && { session }) });
    },
    async check({ query, context, signal }) {
      const contexts = withoutFiles(query.namedContexts);
      return builder.check(await received({ query, context, signal }), { ...query, contexts });
    },
    async call(call, { query, context, signal }) {
      const contexts = withoutFiles(query.namedContexts);
      const found = await builder.describe(await received({ query, context, signal }), { ...query, contexts });
      const { json: Json, text: Text } = answerCall(call, found);
      return { Json, Text };
    },
  };
}

/** The same for BuildKit's clients, who bring their files in other ways. */
export function createBuildKitEngine(engine: Engine, config: DaemonConfig): BuildKitEngine {
  const { images } = engine;
  return {
    builder: engine.builder,
    receive: (tar, request) => receiveContext(tar, receiveOptions(engine, config, request)),
    archive: (all, { names, ...options }) =>
      engine.transfer.save(
        all.map(({ id }) => id),
        { ...options, names: names.map((name) => withDefaultTag(parseReference(name))) },
      ),
    push: async (image, ref, options) => engine.transfer.pushImage(image, ref, await withAuth(ref, options)),
    pushIndex: async (all, ref, options) => engine.transfer.pushIndex(all, ref, await withAuth(ref, options)),
    files: (image, signal) => engine.builder.files(image, signal),
    import: (tar, signal) => engine.transfer.import(tar, { signal, changes: [], progress: () => undefined }),
    load: async (archive, signal) => {
      const [image] = await engine.transfer.load(archive, { signal, progress: () => undefined, quiet: true });
      if (!image) throw new EngineError("invalid", "the archive has no image");
      return image;
    },
    imageIds: () => images.ids(),
    provenance: (image) => provenanceOf(images, image),
    discard: (image) => images.discard(image),
    worker: () => workerOf(engine),
    fetch: (url, { args, session, ...request }) => {
      const whose = { fetchUrl, args, ...(session && { session }) };
      return fetchContext(url, { ...receiveOptions(engine, config, request), ...whose });
    },
  };
}

/** Bytes of a provenance that whoever asks about builds may want. */
const mostProvenance = 1024 * 1024;

/** Undefined also for an image that somebody has removed already. */
async function provenanceOf(images: Engine["images"], { id }: Image) {
  const statements = await images.attestations(id).catch((err) => {
    if (isKind(err, "not-found")) return [];
    throw err;
  });
  const found = statements.find(({ predicateType }) => predicateType.startsWith("https://slsa.dev/provenance/"));
  if (!found || found.bytes.length > mostProvenance) return undefined;
  const { predicate }: { predicate: unknown } = JSON.parse(Buffer.from(found.bytes).toString());
  return { predicateType: found.predicateType, predicate: Buffer.from(JSON.stringify(predicate)) };
}

async function withAuth(ref: Reference, { registryAuth, session, ...options }: PushOptions) {
  const auth = authFor(ref, registryAuth) ?? (await session?.credentials(ref.domain, options.signal));
  return { ...options, ...(auth && { auth }) };
}

/**
 * One label tells buildx what `host-gateway` is (moby `builder/builder-next/worker/label`); by the other it knows that the driver
 * `docker` writes archives of images too, which it otherwise refuses by itself (BuildKit `worker/label`).
 */
function workerOf({ networks }: Engine): Worker {
  const gateway = networks.hostAddress("bridge");
  return {
    id: "berth",
    labels: {
      "org.mobyproject.buildkit.worker.snapshotter": "overlayfs",
      ...(gateway !== undefined && { "org.mobyproject.buildkit.worker.moby.host-gateway-ip": gateway }),
    },
    platforms: [defaultPlatform()],
    buildkitVersion: { package: "berth", version: `v${version}`, revision: commit },
  };
}

function receiveOptions(
  { host: { workers, processes } }: Engine,
  { dataRoot }: DaemonConfig,
  request: ReceiveRequest,
): ReceiveOptions {
  return { directory: join(dataRoot, "builds"), workers, processes, ...request };
}
