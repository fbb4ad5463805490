import type { Builder } from "../builder/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import {
  type AuthConfig,
  type BuildQuery,
  type CheckResult,
  decodeAuthsHeader,
  decodeBuildQuery,
  decodeFilters,
  type ProgressSink,
  queryFlag,
  queryInteger,
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
}

export interface BuildRequest {
  readonly query: BuildQuery;
  /** The request's body; empty with `query.remote`. */
  readonly context: Bytes;
  readonly registryAuth: Readonly<Record<string, AuthConfig>>;
  readonly progress: ProgressSink;
  readonly signal: AbortSignal;
}

export function buildRoutes(services: { build: BuildService; builder: Pick<Builder, "prune"> }): Route[] {
  const { build, builder } = services;
  return [
    { method: "POST", path: "/build", handle: (request) => runBuild(build, request) },
    { method: "POST", path: "/build/prune", handle: (request) => prune(builder, request) },
  ];
}

async function runBuild(service: BuildService, request: HttpRequest): Promise<Reply> {
  const query = decodeBuildQuery(request.query);
  const registryAuth = decodeAuthsHeader(header(request, "x-registry-config"));
  const { body: context, signal } = request;
  if (query.check) return json(await service.check({ query, context, registryAuth, signal }));
  return progressReply(request, (progress) => service.build({ query, context, registryAuth, progress, signal }));
}

async function prune(builder: Pick<Builder, "prune">, { query }: HttpRequest): Promise<Reply> {
  for (const name of ["keep-storage", "reserved-space", "max-used-space", "min-free-space"])
    if (queryInteger(query, name, 0) !== 0)
      throw new EngineError("not-implemented", `build prune with ${name} is not implemented by Berth yet`);
  const { deleted, reclaimed } = await builder.prune(decodeFilters(query), queryFlag(query, "all"));
  return json({ CachesDeleted: deleted, SpaceReclaimed: reclaimed });
}
