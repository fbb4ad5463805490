import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import { isDigest } from "../oci/mod.ts";
import { collectSoon, header, type RegistryParts, repositoryRoute } from "./context.ts";
import { problem, versionHeader } from "./problem.ts";

export function blobRoutes(parts: RegistryParts): Route[] {
  const get = (repository: string, request: HttpRequest) => getBlob(parts, repository, request);
  return [
    repositoryRoute("GET", "blobs/{digest}", get),
    repositoryRoute("HEAD", "blobs/{digest}", get),
    repositoryRoute("DELETE", "blobs/{digest}", (repository, request) => deleteBlob(parts, repository, request)),
  ];
}

function getBlob({ content, tags }: RegistryParts, repository: string, request: HttpRequest): Reply {
  const digest = request.params["digest"] ?? "";
  if (!isDigest(digest))
    return problem("DIGEST_INVALID", "provided digest is not supported", { digest: digest.slice(0, 100) });
  const info = tags.hasBlob(repository, digest) ? content.info(digest) : undefined;
  if (!info) return problem("BLOB_UNKNOWN", "blob unknown to registry", { digest });
  const headers = {
    ...versionHeader,
    "Docker-Content-Digest": digest,
    ETag: `"${digest}"`,
    "Cache-Control": "max-age=31536000",
    "Accept-Ranges": "bytes",
  };
  const whole = { kind: "file", path: content.path(digest), type: "application/octet-stream", headers } as const;
  const range = request.method === "GET" ? rangeOf(header(request, "range"), info.size) : undefined;
  if (range === "unsatisfiable") {
    return problem("RANGE_INVALID", "invalid content range", { size: info.size });
  }
  return range ? { ...whole, status: 206, range } : { ...whole, status: 200 };
}

function deleteBlob(parts: RegistryParts, repository: string, request: HttpRequest): Reply {
  const digest = request.params["digest"] ?? "";
  if (!isDigest(digest))
    return problem("DIGEST_INVALID", "provided digest is not supported", { digest: digest.slice(0, 100) });
  if (!parts.tags.removeBlob(repository, digest))
    return problem("BLOB_UNKNOWN", "blob unknown to registry", { digest });
  collectSoon(parts);
  return { kind: "empty", status: 202, headers: versionHeader };
}

/** One byte range (RFC 9110 §14), `end` is the last byte. Several ranges and other units are ignored, as the RFC allows. */
export function rangeOf(
  text: string | undefined,
  size: number,
): { start: number; end: number } | "unsatisfiable" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(text?.trim() ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const start = Math.max(0, size - Number(match[2]));
    return start < size ? { start, end: size - 1 } : "unsatisfiable";
  }
  const start = Number(match[1]);
  const last = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== "" && Number(match[2]) < start) return undefined;
  return start < size ? { start, end: last } : "unsatisfiable";
}
