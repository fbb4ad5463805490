import type { PublishedCache } from "../builder/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { type ConnectRouter, callOver, type HandlerContext } from "../grpc/mod.ts";
import { control } from "../proto/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type { Door } from "./buildkit.ts";
import { requestCaches } from "./cache-options.ts";
import { grpcError, grpcErrors } from "./errors.ts";
import { exportersOf, outputsOf } from "./exporter.ts";
import { requireDockerfile } from "./frontend.ts";
import { readAttributes } from "./frontend-attributes.ts";
import type { BuildOutcome } from "./history/complete.ts";
import type { Asked, Job } from "./jobs.ts";
import { Session } from "./session.ts";
import { sessionFacts } from "./session-route.ts";
import { solve } from "./solve.ts";
import { StatusFeed } from "./status.ts";
import { diskUsage, prune } from "./usage.ts";

/** moby.buildkit.v1.Control: builds by the frontend `dockerfile.v0`. There are no LLB definitions. */
export function controlService(door: Door) {
  return (router: ConnectRouter): ConnectRouter =>
    router.service(
      control.Control,
      grpcErrors(
        {
          solve: (request: control.SolveRequest, context: HandlerContext) =>
            solveRequest(door, request, context.signal),
          status: (request: control.StatusRequest, context: HandlerContext) => status(door, request, context.signal),
          session: (messages: AsyncIterable<control.BytesMessage>, context: HandlerContext) =>
            session(door, messages, context),
          listWorkers: () => ({ record: [door.engine.worker()] }),
          info: () => ({ buildkitVersion: door.engine.worker().buildkitVersion }),
          diskUsage: () => diskUsage(door.engine.builder),
          prune: (request: control.PruneRequest) => prune(door.engine.builder, request),
          listenBuildHistory: (request: control.BuildHistoryRequest, context: HandlerContext) => {
            context.responseHeader.set(timeHeader, new Date().toISOString());
            return door.history.listen(request, context.signal);
          },
          updateBuildHistory: (request: control.UpdateBuildHistoryRequest) => {
            door.history.update(request);
            return {};
          },
        },
        door.engine.builder,
      ),
    );
}

/** By which clients know for how long a build has been under way (BuildKit control, `sendTimestampHeader`). */
const timeHeader = "buildkit-current-timestamp";

async function solveRequest(door: Door, request: control.SolveRequest, signal: AbortSignal) {
  const session = await door.sessions.get(request.session, signal);
  const feed = new StatusFeed(request.ref);
  const job: Job = { session, feed, answered: false, results: [], chosen: Promise.withResolvers() };
  // Before anything is refused: who follows the build waits for it, and only then hears why it is none.
  door.jobs.add(request.ref, job);
  const { exporterResponse } = await door.history.record({ request, feed, signal }, () =>
    build(door, { job, request, signal }),
  );
  return { exporterResponse };
}

interface Building {
  readonly job: Job;
  readonly request: control.SolveRequest;
  readonly signal: AbortSignal;
}

async function build(door: Door, { job, request, signal }: Building): Promise<BuildOutcome> {
  try {
    refuse(request);
    const exporters = exportersOf(outputsOf(request));
    const asked = await askedFor(job, request, signal);
    if (!asked) return nothingBuilt(request, job);
    const { options, ...frontend } = readAttributes(asked.attributes);
    const { inlineCache, ...caches } = requestCaches(request, options.cacheImports);
    const published: Record<string, string> = {};
    const solving = {
      ...{ ...frontend, session: job.session, exporters, feed: job.feed, signal },
      options: {
        ...{ ...options, ...caches, inlineCache: options.inlineCache || inlineCache, registryAuth: {} },
        cachePublished: ({ manifest }: PublishedCache) => {
          published[cacheManifest] = JSON.stringify(manifest);
        },
      },
    };
    const { response, provenance } = await solve(door.engine, solving);
    return { exporterResponse: { ...response, ...published }, provenance };
  } catch (err) {
    throw grpcError(err, { builder: door.engine.builder, vertex: job.feed.failure });
  } finally {
    job.feed.close();
  }
}

/** What the client's index of its directory is to name (BuildKit cache/remotecache, `ExporterResponseManifestDesc`). */
const cacheManifest = "cache.manifest";

/** A client that names no frontend steers the build itself, through the gateway. */
async function askedFor(
  { chosen }: Job,
  request: control.SolveRequest,
  signal: AbortSignal,
): Promise<Asked | undefined> {
  if (request.frontend !== "")
    return requireDockerfile({ frontend: request.frontend, attributes: request.frontendAttrs });
  const { promise: gone, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  return Promise.race([chosen.promise, gone]);
}

/** buildx and compose open a build of nothing to read the gateway's capabilities; buildx 0.13 names an output for answers too. */
function nothingBuilt({ exporter, exporters }: control.SolveRequest, { answered }: Job) {
  if (answered || (exporter === "" && exporters.length === 0)) return { exporterResponse: {} };
  throw new EngineError("not-implemented", "an image without a Dockerfile is not implemented by Berth");
}

function refuse(request: control.SolveRequest): void {
  const refused = (what: string) =>
    new EngineError("not-implemented", `build with ${what} is not implemented by Berth yet`);
  if ((request.definition?.def.length ?? 0) > 0) throw refused("an LLB definition");
  if (Object.keys(request.frontendInputs).length > 0) throw refused("inputs as LLB definitions");
  if (request.sourcePolicy) throw refused("a source policy");
  const entitlement = request.entitlements.find((one) => one !== "network.host");
  if (entitlement !== undefined)
    throw new EngineError(
      "forbidden",
      `granting entitlement ${entitlement} is not allowed by build daemon configuration`,
    );
}

/** Of a build that is under way, that was, or that comes soon. */
async function* status({ jobs, history }: Door, { ref }: control.StatusRequest, signal: AbortSignal) {
  const kept = jobs.has(ref) ? undefined : await history.status(ref);
  yield* kept ?? (await jobs.get(ref, signal)).feed.follow();
}

/** The same as `POST /session`, through the connection that is there: each message is a piece of the session's bytes. */
async function* session({ sessions }: Door, messages: AsyncIterable<control.BytesMessage>, context: HandlerContext) {
  const facts = sessionFacts((name) => context.requestHeader.get(name) ?? undefined);
  const back = new TransformStream<Uint8Array, Uint8Array>();
  const writer = back.writable.getWriter();
  writer.closed.catch(() => undefined);
  const close = () => void writer.close().catch(() => undefined);
  using caller = callOver({ input: bytesOf(messages), write: (bytes) => writer.write(bytes), close });
  using _ = sessions.add(new Session(caller, facts));
  for await (const data of back.readable) yield { data };
}

async function* bytesOf(messages: AsyncIterable<control.BytesMessage>): Bytes & AsyncGenerator<Uint8Array> {
  for await (const { data } of messages) yield data;
}
