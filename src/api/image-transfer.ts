import { EngineError } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import type { ImageTransfer } from "../images/mod.ts";
import { isDigest, parseReference, type Reference, withDefaultTag } from "../oci/mod.ts";
import { Fields, queryFlag, queryJson, queryText, string } from "../wire/mod.ts";
import { progressReply } from "./progress.ts";
import { authOf, json, param, stream } from "./reply.ts";

/** Pull, push, load, save and import: images on the move. */
export function transferRoutes(transfer: ImageTransfer): Route[] {
  return [
    { method: "POST", path: "/images/create", handle: (request) => create(transfer, request) },
    { method: "POST", path: "/images/load", handle: (request) => load(transfer, request) },
    { method: "POST", path: "/images/{name*}/push", handle: (request) => push(transfer, request) },
    { method: "GET", path: "/distribution/{name*}/json", handle: (request) => look(transfer, request) },
    { method: "GET", path: "/images/get", handle: (request) => save(transfer, request) },
    { method: "GET", path: "/images/{name*}/get", handle: (request) => save(transfer, request) },
  ];
}

function create(transfer: ImageTransfer, request: HttpRequest): Promise<Reply> {
  const { query } = request;
  if (queryText(query, "fromImage")) return pull(transfer, request);
  if (queryText(query, "fromSrc")) return importTar(transfer, request);
  throw new EngineError("invalid", "one of fromImage and fromSrc is required");
}

function pull(transfer: ImageTransfer, request: HttpRequest): Promise<Reply> {
  const { query, signal } = request;
  const ref = withTag(query.get("fromImage") ?? "", queryText(query, "tag"));
  const options = { signal, ...authOf(request), ...textPlatform(query) };
  return progressReply(request, async (progress) => {
    if (ref.tag || ref.digest) await transfer.pull(ref, { ...options, progress });
    else await transfer.pullAll(ref, { ...options, progress });
  });
}

/** `tag` may be a digest, and the name may hold either already. */
function withTag(name: string, tag: string | undefined): Reference {
  if (tag === undefined) return parseReference(name.replace(/:$/, ""));
  return parseReference(isDigest(tag) ? `${name}@${tag}` : `${name}:${tag}`);
}

/** Where pull and import take `os/arch` as it is. */
function textPlatform(query: URLSearchParams): { platform?: string } {
  const platform = queryText(query, "platform");
  return platform === undefined ? {} : { platform };
}

/** Where push, load and save take it as an OCI platform in JSON. */
function jsonPlatform(query: URLSearchParams): { platform?: string } {
  const platform = queryJson(query, "platform", (json, path) => {
    const fields = new Fields(json, path);
    const parts = ["os", "architecture", "variant"].map((name) => fields.get(name, string, ""));
    return parts.filter((part) => part !== "").join("/");
  });
  return platform ? { platform } : {};
}

function importTar(transfer: ImageTransfer, request: HttpRequest): Promise<Reply> {
  const { query, signal } = request;
  if (query.get("fromSrc") !== "-")
    throw new EngineError(
      "not-implemented",
      "import from a URL is not implemented by Berth yet; send the tar (fromSrc=-)",
    );
  const repo = queryText(query, "repo");
  const message = queryText(query, "message");
  const options = {
    signal,
    changes: query.getAll("changes").filter((change) => change !== ""),
    ...(repo !== undefined && { name: withDefaultTag(withTag(repo, queryText(query, "tag"))) }),
    ...(message !== undefined && { message }),
    ...textPlatform(query),
  };
  return progressReply(request, async (progress) => {
    await transfer.import(request.body, { ...options, progress });
  });
}

function load(transfer: ImageTransfer, request: HttpRequest): Promise<Reply> {
  const { query, signal } = request;
  const options = { signal, quiet: queryFlag(query, "quiet"), ...jsonPlatform(query) };
  return progressReply(
    request,
    async (progress) => {
      await transfer.load(request.body, { ...options, progress });
    },
    { headersAtOnce: true },
  );
}

function push(transfer: ImageTransfer, request: HttpRequest): Promise<Reply> {
  const { query, signal } = request;
  const ref = withTag(param(request, "name"), queryText(query, "tag"));
  const options = { signal, ...authOf(request), ...jsonPlatform(query) };
  return progressReply(request, (progress) => transfer.push(ref, { ...options, progress }));
}

/** docker-buildx reads from it what it has pushed. */
async function look(transfer: ImageTransfer, request: HttpRequest): Promise<Reply> {
  const { named, platforms } = await transfer.look(parseReference(param(request, "name")), {
    signal: request.signal,
    ...authOf(request),
  });
  const { mediaType, digest, size } = named;
  return json({ Descriptor: { mediaType, digest, size }, Platforms: platforms });
}

/** Names come once each, or several in one value with commas between. */
function save(transfer: ImageTransfer, request: HttpRequest): Promise<Reply> {
  const { query, signal } = request;
  const one = param(request, "name");
  const refs = one
    ? [one]
    : query
        .getAll("names")
        .flatMap((names) => names.split(","))
        .filter((name) => name !== "");
  if (refs.length === 0) throw new EngineError("invalid", "query parameter names is required");
  return stream("application/x-tar", transfer.save(refs, { signal, ...jsonPlatform(query) }));
}
