import { toBinary } from "@bufbuild/protobuf";
import { messageOf } from "../errors/mod.ts";
import type { HttpRequest, Reply } from "../http/mod.ts";
import { control } from "../proto/mod.ts";
import { decodeAuthsHeader, decodeSessionBuildQuery, type SessionBuildQuery } from "../wire/mod.ts";
import type { Door } from "./buildkit.ts";
import { registryCache } from "./cache-options.ts";
import type { Exported } from "./export.ts";
import { type Exporter, exportersOf } from "./exporter.ts";
import { type Solving, type Source, solve } from "./solve.ts";
import { StatusFeed } from "./status.ts";

const uploadMark = "upload-request";

/** `POST /build?version=2`. Like BuildKit in dockerd it answers 200 whatever comes, and tells failures in the stream. */
export async function sessionBuild(door: Door, request: HttpRequest): Promise<Reply> {
  const query = decodeSessionBuildQuery(request.query);
  const upload = query.buildId?.startsWith(`${uploadMark}:`) ? query.buildId.slice(uploadMark.length + 1) : undefined;
  if (upload !== undefined) {
    await door.builds.upload(upload, request.body, request.signal);
    return { kind: "empty", status: 200 };
  }
  return { kind: "stream", status: 200, type: "application/json", bytes: told(door, { request, query }) };
}

interface Asked {
  readonly request: HttpRequest;
  readonly query: SessionBuildQuery;
}

/** The build's status as it changes (moby's `moby.buildkit.trace`), then its image or its failure; with `q` the image's id alone. */
async function* told(door: Door, asked: Asked): AsyncGenerator<Uint8Array> {
  const feed = new StatusFeed(crypto.randomUUID());
  const { request, query } = asked;
  const outcome = door.builds
    .run(query.buildId, request.signal, (signal) => start(door, { ...asked, feed, signal }))
    .then(
      ({ image }) => (query.quiet ? { stream: `${image.id}\n` } : { id: "moby.image.id", aux: { ID: image.id } }),
      (err: unknown) => ({ errorDetail: { message: messageOf(err) }, error: messageOf(err) }),
    )
    .finally(() => feed.close());
  for await (const status of query.quiet ? [] : feed.follow()) {
    const aux = Buffer.from(toBinary(control.StatusResponseSchema, status)).toString("base64");
    yield line({ id: "moby.buildkit.trace", aux });
  }
  yield line(await outcome);
}

interface Started extends Asked {
  readonly feed: StatusFeed;
  readonly signal: AbortSignal;
}

async function start(door: Door, { request, query, feed, signal }: Started): Promise<Exported> {
  const { dockerfile: filename, remote, session: sessionId, buildId, outputs, tags, cacheFrom, ...options } = query;
  // First of all: no build may fail before its client's session is there (see sessionReply).
  const session = sessionId === undefined ? undefined : await door.sessions.get(sessionId, signal);
  const exporters = named(exportersOf(outputs), tags);
  const header = request.headers["x-registry-config"];
  const registryAuth = decodeAuthsHeader(typeof header === "string" ? header : undefined);
  const solving: Solving = {
    session,
    source: sourceOf(door, { remote, buildId, signal, body: request.body }),
    filename,
    options: { ...options, cacheImports: [...options.cacheImports, ...cacheFrom.map(registryCache)], registryAuth },
    exporters,
    contexts: {},
    feed,
    signal,
  };
  return solve(door.engine, solving);
}

/** The build's tags are names of whatever has any. */
function named(exporters: readonly Exporter[], tags: readonly string[]): readonly Exporter[] {
  return exporters.map((one) => ("names" in one ? { ...one, names: [...tags, ...one.names] } : one));
}

interface Where {
  readonly remote: string | undefined;
  readonly buildId: string | undefined;
  readonly signal: AbortSignal;
  readonly body: HttpRequest["body"];
}

function sourceOf({ builds }: Door, { remote, buildId, signal, body }: Where): Source {
  if (remote === "client-session") return { kind: "session", context: "context", dockerfile: "dockerfile" };
  if (remote === uploadMark) return { kind: "upload", bytes: builds.uploaded(buildId ?? "", signal) };
  return remote === undefined ? { kind: "upload", bytes: body } : { kind: "remote", url: remote };
}

function line(message: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(message)}\n`);
}
