import type { Files } from "../containers/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import { formatInstant, queryFlag } from "../wire/mod.ts";
import { empty, refOf, stream } from "./reply.ts";

type PathStat = Awaited<ReturnType<Files["statPath"]>>;

/** `docker cp`: a container's files as tar archives, out of it and into it. */
export function archiveRoutes(files: Files): Route[] {
  const path = "/containers/{id*}/archive";
  return [
    { method: "HEAD", path, handle: (request) => head(files, request) },
    { method: "GET", path, handle: (request) => get(files, request) },
    { method: "PUT", path, handle: (request) => put(files, request) },
  ];
}

async function head(files: Files, request: HttpRequest): Promise<Reply> {
  return empty(200, statHeader(await files.statPath(refOf(request), pathOf(request), request.signal)));
}

async function get(files: Files, request: HttpRequest): Promise<Reply> {
  const { stat, bytes } = await files.readPath(refOf(request), pathOf(request), request.signal);
  return stream("application/x-tar", bytes, statHeader(stat));
}

async function put(files: Files, request: HttpRequest): Promise<Reply> {
  const { query, body, signal } = request;
  await files.writePath(refOf(request), pathOf(request), {
    bytes: body,
    noOverwriteDirNonDir: queryFlag(query, "noOverwriteDirNonDir"),
    copyUidGid: queryFlag(query, "copyUIDGID"),
    signal,
  });
  return empty(200);
}

function pathOf({ query }: HttpRequest): string {
  const path = query.get("path");
  if (path) return path;
  throw new EngineError("invalid", "bad parameter: path cannot be empty");
}

function statHeader({ name, size, mode, mtime, linkTarget }: PathStat): Readonly<Record<string, string>> {
  const stat = { name, size, mode: goMode(mode), mtime: formatInstant(mtime), linkTarget };
  return { "X-Docker-Container-Path-Stat": Buffer.from(JSON.stringify(stat)).toString("base64") };
}

/** Go's os.FileMode puts the type and the special bits at the top (package io/fs, constants). */
const goTypes: ReadonlyMap<number, number> = new Map([
  [0o040000, 2 ** 31],
  [0o120000, 2 ** 27],
  [0o060000, 2 ** 26],
  [0o020000, 2 ** 26 + 2 ** 21],
  [0o010000, 2 ** 25],
  [0o140000, 2 ** 24],
]);
const goBits = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
] as const;

export function goMode(mode: number): number {
  const bits = goBits.map(([bit, go]) => (mode & bit ? go : 0));
  return [goTypes.get(mode & 0o170000) ?? 0, ...bits].reduce((sum, part) => sum + part, mode & 0o777);
}
