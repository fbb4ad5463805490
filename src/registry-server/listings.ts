import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import { isDigest, mediaTypes } from "../oci/mod.ts";
import { type RegistryParts, repositoryRoute } from "./context.ts";
import { problem, versionHeader } from "./problem.ts";
import type { Page } from "./registry-server.ts";

/** Entries of one page when the client does not say. */
const pageLimit = 10_000;

export function listingRoutes(parts: RegistryParts): Route[] {
  const base: Reply = { kind: "json", status: 200, body: {}, headers: versionHeader };
  return [
    { method: "GET", path: "/v2/", handle: () => base },
    { method: "GET", path: "/v2", handle: () => base },
    { method: "GET", path: "/v2/_catalog", handle: (request) => catalog(parts, request) },
    repositoryRoute("GET", "tags/list", (repository, request) => tagsList(parts, repository, request)),
    repositoryRoute("GET", "referrers/{digest}", (repository, request) => referrers(parts, repository, request)),
  ];
}

function catalog({ tags }: RegistryParts, request: HttpRequest): Reply {
  return paged(request, {
    path: "/v2/_catalog",
    list: (page) => tags.repositories(page),
    body: (repositories) => ({ repositories }),
  });
}

function tagsList({ tags }: RegistryParts, repository: string, request: HttpRequest): Reply {
  if (!tags.exists(repository))
    return problem("NAME_UNKNOWN", "repository name not known to registry", { name: repository });
  return paged(request, {
    path: `/v2/${repository}/tags/list`,
    list: (page) => tags.tags(repository, page),
    body: (names) => ({ name: repository, tags: names }),
  });
}

interface Paged {
  readonly path: string;
  readonly list: (page: Page) => string[];
  readonly body: (entries: string[]) => unknown;
}

/** Asks for one entry more than the page has, to know whether to link to the next one. */
function paged(request: HttpRequest, { path, list, body }: Paged): Reply {
  const asked = request.query.get("n");
  if (asked !== null && !/^\d{1,9}$/.test(asked)) {
    return problem("PAGINATION_NUMBER_INVALID", "invalid number of results requested", { n: asked.slice(0, 100) });
  }
  const limit = Math.min(asked === null ? pageLimit : Number(asked), pageLimit);
  const last = request.query.get("last");
  const entries = list({ limit: limit + 1, ...(last !== null && { last }) });
  const page = entries.slice(0, limit);
  const end = page.at(-1);
  const more = entries.length > limit && end !== undefined;
  const link = more ? { Link: `<${path}?last=${encodeURIComponent(end)}&n=${limit}>; rel="next"` } : {};
  return { kind: "json", status: 200, body: body(page), headers: { ...versionHeader, ...link } };
}

function referrers({ tags }: RegistryParts, repository: string, request: HttpRequest): Reply {
  const digest = request.params["digest"] ?? "";
  if (!isDigest(digest))
    return problem("DIGEST_INVALID", "provided digest is not supported", { digest: digest.slice(0, 100) });
  const wanted = request.query.get("artifactType");
  const manifests = tags.referrers(repository, digest).filter((one) => wanted === null || one.artifactType === wanted);
  return {
    kind: "text",
    status: 200,
    type: mediaTypes.index,
    body: JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }),
    headers: { ...versionHeader, ...(wanted !== null && { "OCI-Filters-Applied": "artifactType" }) },
  };
}
