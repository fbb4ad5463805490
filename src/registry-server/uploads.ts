import { randomUUID } from "node:crypto";
import type { Ingest } from "../content/mod.ts";
import { isKind, messageOf } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import { type Digest, isDigest } from "../oci/mod.ts";
import { collectSoon, header, type RegistryParts, repositoryRoute } from "./context.ts";
import { isRepository } from "./names.ts";
import { problem, versionHeader } from "./problem.ts";

/** An upload nobody touches for an hour is given up. */
const idleLimit = 60 * 60 * 1000;
/** Each holds an open file. */
const mostUploads = 1000;

/**
 * Blob uploads. A session is a blob being written and lives in this process: after a restart the client is told that it is
 * unknown and starts again. One request at a time may write to it; what a broken connection delivered stays, and the
 * client asks how far it got.
 */
interface Session {
  readonly id: string;
  readonly repository: string;
  readonly ingest: Ingest;
  busy: boolean;
  touched: number;
}

interface Uploads {
  readonly parts: RegistryParts;
  readonly sessions: Map<string, Session>;
}

export function uploadRoutes(parts: RegistryParts): Route[] {
  const uploads: Uploads = { parts, sessions: new Map() };
  parts.signal.addEventListener("abort", () => dropAll(uploads), { once: true });
  const start = (repository: string, request: HttpRequest) => startUpload(uploads, repository, request);
  const within = (act: (session: Session, request: HttpRequest) => Reply | Promise<Reply>) => {
    return (repository: string, request: HttpRequest) => inSession(uploads, { repository, request, act });
  };
  return [
    repositoryRoute("POST", "blobs/uploads/", start),
    repositoryRoute("POST", "blobs/uploads", start),
    repositoryRoute(
      "GET",
      "blobs/uploads/{id}",
      within((session) => accepted(session, 204)),
    ),
    repositoryRoute("PATCH", "blobs/uploads/{id}", within(appendChunk)),
    repositoryRoute(
      "PUT",
      "blobs/uploads/{id}",
      within((session, request) => finish(uploads, session, request)),
    ),
    repositoryRoute(
      "DELETE",
      "blobs/uploads/{id}",
      within((session) => cancel(uploads, session)),
    ),
  ];
}

async function startUpload(uploads: Uploads, repository: string, request: HttpRequest): Promise<Reply> {
  const { parts, sessions } = uploads;
  const mounted = mount(parts, repository, request.query);
  if (mounted) return mounted;
  const digest = request.query.get("digest");
  if (digest !== null) return monolithic(parts, repository, { request, digest });
  await dropIdle(uploads);
  if (sessions.size >= mostUploads) return problem("TOOMANYREQUESTS", "too many uploads are under way");
  const ingest = await parts.content.ingest();
  const session: Session = { id: randomUUID(), repository, ingest, busy: false, touched: Date.now() };
  sessions.set(session.id, session);
  return accepted(session, 202);
}

function mount({ content, tags }: RegistryParts, repository: string, query: URLSearchParams): Reply | undefined {
  const [digest, from] = [query.get("mount"), query.get("from")];
  if (digest === null || from === null || !isDigest(digest) || !isRepository(from)) return undefined;
  if (!tags.hasBlob(from, digest) || !content.info(digest)) return undefined;
  tags.addBlob(repository, digest);
  return created(repository, digest);
}

interface Monolithic {
  readonly request: HttpRequest;
  readonly digest: string;
}

function monolithic({ content, tags, leases }: RegistryParts, repository: string, upload: Monolithic): Promise<Reply> {
  const { request, digest } = upload;
  return leases.hold(async () => {
    if (!isDigest(digest)) return invalidDigest(digest);
    await using ingest = await content.ingest({ digest });
    for await (const chunk of request.body) await ingest.write(chunk);
    try {
      await ingest.commit();
    } catch (err) {
      if (!isKind(err, "invalid")) throw err;
      return problem("DIGEST_INVALID", "provided digest did not match uploaded content", messageOf(err));
    }
    tags.addBlob(repository, digest);
    return created(repository, digest);
  });
}

interface SessionRequest {
  readonly repository: string;
  readonly request: HttpRequest;
  readonly act: (session: Session, request: HttpRequest) => Reply | Promise<Reply>;
}

async function inSession({ sessions }: Uploads, { repository, request, act }: SessionRequest): Promise<Reply> {
  const session = sessions.get(request.params["id"] ?? "");
  if (!session || session.repository !== repository) {
    return problem("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
  }
  if (request.method === "GET") return act(session, request);
  if (session.busy) return problem("BLOB_UPLOAD_INVALID", "another request is writing to this upload");
  session.busy = true;
  try {
    return await act(session, request);
  } finally {
    session.busy = false;
    session.touched = Date.now();
  }
}

async function appendChunk(session: Session, request: HttpRequest): Promise<Reply> {
  const range = header(request, "content-range");
  const start = range === undefined ? session.ingest.offset : rangeStart(range);
  if (start !== session.ingest.offset) {
    return {
      ...problem("RANGE_INVALID", `chunk must start at ${session.ingest.offset}`),
      headers: uploadHeaders(session),
    };
  }
  for await (const chunk of request.body) await session.ingest.write(chunk);
  return accepted(session, 202);
}

function finish({ parts, sessions }: Uploads, session: Session, request: HttpRequest): Promise<Reply> {
  const { content, tags, leases } = parts;
  const digest = request.query.get("digest") ?? "";
  return leases.hold(async () => {
    if (!isDigest(digest)) return invalidDigest(digest);
    const appended = await appendChunk(session, request);
    if (appended.kind === "json") return appended;
    sessions.delete(session.id);
    await using ingest = session.ingest;
    const info = await ingest.commit();
    if (info.digest !== digest) {
      collectSoon(parts);
      return problem("DIGEST_INVALID", "provided digest did not match uploaded content", {
        digest,
        uploaded: info.digest,
      });
    }
    if (!content.info(digest)) return problem("UNKNOWN", "blob disappeared");
    tags.addBlob(session.repository, digest);
    return created(session.repository, digest);
  });
}

async function cancel({ sessions }: Uploads, session: Session): Promise<Reply> {
  sessions.delete(session.id);
  await session.ingest.abort();
  return { kind: "empty", status: 204, headers: versionHeader };
}

async function dropIdle({ sessions }: Uploads): Promise<void> {
  const oldest = Date.now() - idleLimit;
  for (const session of [...sessions.values()]) {
    if (session.busy || session.touched >= oldest) continue;
    sessions.delete(session.id);
    await session.ingest.abort();
  }
}

function dropAll({ parts, sessions }: Uploads): void {
  for (const session of sessions.values()) {
    session.ingest.abort().catch((err: unknown) => parts.log.warn("Giving up an upload failed", { error: err }));
  }
  sessions.clear();
}

function accepted(session: Session, status: number): Reply {
  return { kind: "empty", status, headers: uploadHeaders(session) };
}

/** `Range` counts from 0 to the last byte; an empty upload says `0-0`, as `distribution` does. */
function uploadHeaders({ id, repository, ingest }: Session): Record<string, string> {
  return {
    ...versionHeader,
    Location: `/v2/${repository}/blobs/uploads/${id}`,
    Range: `0-${Math.max(0, ingest.offset - 1)}`,
    "Docker-Upload-UUID": id,
  };
}

function created(repository: string, digest: Digest): Reply {
  const headers = { ...versionHeader, Location: `/v2/${repository}/blobs/${digest}`, "Docker-Content-Digest": digest };
  return { kind: "empty", status: 201, headers };
}

function invalidDigest(digest: string): Reply {
  return problem("DIGEST_INVALID", "provided digest is not supported", { digest: digest.slice(0, 100) });
}

/** Of `0-99`, also written `bytes 0-99/100`; -1 for what is neither. */
function rangeStart(text: string): number {
  const match = /^(?:bytes[ =])?(\d+)-(\d*)(?:\/.*)?$/.exec(text.trim());
  return match ? Number(match[1]) : -1;
}
