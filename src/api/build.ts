import type { Builder } from "../builder/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import {
  type AuthConfig,
  type BuildCall,
  type BuildQuery,
  type CallResult,
  type CheckResult,
  decodeAuthsHeader,
  decodeBuildQuery,
  decodeFilters,
  type ProgressSink,
  queryFlag,
  queryInteger,
  requiredText,
} from "../wire/mod.ts";
import { progressReply } from "./progress.ts";
import { header, json } from "./reply.ts";

/**
 * A whole classic build, from the bytes a client sent. The implementation unpacks the hostile tar (plain, gzip, bzip2, xz
 * or zstd) in a worker into a directory of its own, or fetches `query.remote`, builds, and removes the directory.
 * It tells everything by `progress`, down to the last lines: `{"aux":{"ID":…}}`, `Successfully built ID`,
 * `Successfully tagged NAME:TAG` (with `query.quiet` the id alone). What it throws before the first message becomes an
 * HTTP status (an empty Dockerfile is one), later it is a line of the stream.
 */
export interface BuildService {
  build(request: BuildRequest): Promise<void>;
  /** Checks the Dockerfile of the same request instead. */
  check(request: Omit<BuildRequest, "progress">): Promise<CheckResult>;
  /** Answers what is asked about it. Throws "invalid" for what is no Dockerfile, and for a target that is not there. */
  call(call: BuildCall, request: Omit<BuildRequest, "progress">): Promise<CallResult>;
  /** Takes lines that tell of a context (docs/api.md); says which of them have contents that are not kept here. */
  compare(
    key: string,
    told: Pick<BuildRequest, "context" | "signal">,
  ): Promise<{ readonly id: string; readonly missing: readonly number[] }>;
}

export interface BuildRequest {
  readonly query: BuildQuery;
  /** The request's body; empty with `query.remote`. */
  readonly context: Bytes;
  readonly registryAuth: Readonly<Record<string, AuthConfig>>;
  readonly progress: ProgressSink;
  readonly signal: AbortSignal;
}

/** BuildKit's doors, which the module `buildkit` answers for. */
export interface BuildKitDoors {
  session(request: HttpRequest): Reply;
  build(request: HttpRequest): Promise<Reply>;
  cancel(request: HttpRequest): Reply;
  grpc(): Reply;
}

export interface BuildServices {
  readonly build: BuildService;
  readonly buildKit: BuildKitDoors;
  readonly builder: Pick<Builder, "prune">;
}

export function buildRoutes({ build, buildKit, builder }: BuildServices): Route[] {
  return [
    {
      method: "POST",
      path: "/build",
      handle: (request) => (request.query.get("version") === "2" ? buildKit.build(request) : runBuild(build, request)),
    },
    { method: "POST", path: "/build/cancel", handle: (request) => buildKit.cancel(request) },
    { method: "POST", path: "/session", handle: (request) => buildKit.session(request) },
    { method: "POST", path: "/grpc", handle: () => buildKit.grpc() },
    { method: "POST", path: "/build/context", handle: (request) => compare(build, request) },
    { method: "POST", path: "/build/prune", handle: (request) => prune(builder, request) },
  ];
}

async function runBuild(service: BuildService, request: HttpRequest): Promise<Reply> {
  const query = decodeBuildQuery(request.query);
  const registryAuth = decodeAuthsHeader(header(request, "x-registry-config"));
  const { body: context, signal } = request;
  if (query.check) return json(await service.check({ query, context, registryAuth, signal }));
  const { call } = query;
  if (call) return json(await service.call(call, { query, context, registryAuth, signal }));
  return progressReply(request, (progress) => service.build({ query, context, registryAuth, progress, signal }));
}

async function compare(service: BuildService, { query, body, signal }: HttpRequest): Promise<Reply> {
  const { id, missing } = await service.compare(requiredText(query, "key"), { context: body, signal });
  return json({ Id: id, Missing: missing });
}

async function prune(builder: Pick<Builder, "prune">, { query }: HttpRequest): Promise<Reply> {
  const bytes = (name: string) => queryInteger(query, name, 0);
  const { deleted, reclaimed } = await builder.prune(decodeFilters(query), {
    all: queryFlag(query, "all"),
    reserved: bytes("reserved-space") || bytes("keep-storage"), // its name before API 1.48
    most: bytes("max-used-space"),
    minFree: bytes("min-free-space"),
  });
  return json({ CachesDeleted: deleted, SpaceReclaimed: reclaimed });
}
