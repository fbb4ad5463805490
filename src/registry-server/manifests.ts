import { isKind, messageOf } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import {
  type Descriptor,
  type Digest,
  decodeIndex,
  decodeManifest,
  digestOf,
  isDigest,
  isIndexType,
  isManifestType,
  manifestLimit,
} from "../oci/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import { collectSoon, header, type RegistryParts, repositoryRoute } from "./context.ts";
import { isReference } from "./names.ts";
import { problem, versionHeader } from "./problem.ts";
import type { StoredManifest } from "./registry-server.ts";

export function manifestRoutes(parts: RegistryParts): Route[] {
  const get = (repository: string, request: HttpRequest) => getManifest(parts, repository, request);
  return [
    repositoryRoute("GET", "manifests/{reference}", get),
    repositoryRoute("HEAD", "manifests/{reference}", get),
    repositoryRoute("PUT", "manifests/{reference}", (repository, request) => putManifest(parts, repository, request)),
    repositoryRoute("DELETE", "manifests/{reference}", (repository, request) => remove(parts, repository, request)),
  ];
}

function getManifest({ content, tags }: RegistryParts, repository: string, request: HttpRequest): Reply {
  const reference = request.params["reference"] ?? "";
  if (!isReference(reference)) return invalidReference(reference);
  const manifest = tags.manifest(repository, reference);
  if (!manifest || !content.info(manifest.digest)) {
    return problem("MANIFEST_UNKNOWN", "manifest unknown", { name: repository, reference });
  }
  const headers = { ...versionHeader, "Docker-Content-Digest": manifest.digest, ETag: `"${manifest.digest}"` };
  return { kind: "file", status: 200, path: content.path(manifest.digest), type: manifest.mediaType, headers };
}

async function putManifest(parts: RegistryParts, repository: string, request: HttpRequest): Promise<Reply> {
  const reference = request.params["reference"] ?? "";
  if (!isReference(reference)) return invalidReference(reference);
  const bytes = await readLimited(request.body, manifestLimit);
  if (!bytes) return problem("MANIFEST_INVALID", `manifest is larger than ${manifestLimit} bytes`);
  const digest = digestOf(bytes);
  if (isDigest(reference) && reference !== digest) {
    return problem("DIGEST_INVALID", "provided digest did not match uploaded content", {
      digest: reference,
      uploaded: digest,
    });
  }
  const parsed = parse(bytes, header(request, "content-type"));
  if ("kind" in parsed) return parsed;
  const missing = parsed.children.filter((child) => !hasChild(parts, repository, child));
  if (missing.length > 0) {
    return problem(
      "MANIFEST_BLOB_UNKNOWN",
      "blob unknown to registry",
      missing.map((child) => ({ digest: child.digest })),
    );
  }
  return parts.leases.hold(async () => {
    await parts.content.put(bytes);
    const { subject } = parsed.stored;
    parts.tags.putManifest(
      repository,
      { ...parsed.stored, digest, size: bytes.length },
      isDigest(reference) ? undefined : reference,
    );
    return {
      kind: "empty",
      status: 201,
      headers: { ...putHeaders(repository, digest), ...(subject && { "OCI-Subject": subject }) },
    };
  });
}

interface Parsed {
  readonly stored: Omit<StoredManifest, "digest" | "size">;
  readonly children: readonly (Descriptor & { readonly isManifest: boolean })[];
}

function parse(bytes: Uint8Array, contentType: string | undefined): Parsed | Reply {
  const sent = contentType?.split(";")[0]?.trim();
  const mediaType = sent && sent !== "application/json" ? sent : declaredType(bytes);
  if (mediaType === undefined || !(isManifestType(mediaType) || isIndexType(mediaType))) {
    return problem("MANIFEST_INVALID", `unsupported media type ${JSON.stringify(mediaType ?? "").slice(0, 120)}`);
  }
  try {
    return isIndexType(mediaType) ? parseIndex(bytes, mediaType) : parseManifest(bytes, mediaType);
  } catch (err) {
    if (!isKind(err, "invalid")) throw err;
    return problem("MANIFEST_INVALID", "manifest invalid", messageOf(err));
  }
}

function parseManifest(bytes: Uint8Array, mediaType: string): Parsed {
  const manifest = decodeManifest(bytes, mediaType);
  const { config, layers, subject, annotations } = manifest;
  const artifactType = manifest.artifactType ?? config.mediaType;
  return {
    stored: {
      mediaType,
      artifactType,
      ...(subject && { subject: subject.digest }),
      ...(annotations && { annotations }),
    },
    children: [config, ...layers].map((child) => ({ ...child, isManifest: false })),
  };
}

function parseIndex(bytes: Uint8Array, mediaType: string): Parsed {
  const index = decodeIndex(bytes, mediaType);
  const { subject, annotations, artifactType } = index;
  return {
    stored: {
      mediaType,
      ...(artifactType && { artifactType }),
      ...(subject && { subject: subject.digest }),
      ...(annotations && { annotations }),
    },
    children: index.manifests.map((child) => ({ ...child, isManifest: isManifestLike(child) })),
  };
}

/** What else an index names are blobs: BuildKit's caches of builds are indices of layers. */
function isManifestLike({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}

/** Must be in this repository, with the size that the manifest says. */
function hasChild({ content, tags }: RegistryParts, repository: string, child: Parsed["children"][number]): boolean {
  if (child.isManifest) return tags.manifest(repository, child.digest)?.size === child.size;
  return tags.hasBlob(repository, child.digest) && content.info(child.digest)?.size === child.size;
}

function remove(parts: RegistryParts, repository: string, request: HttpRequest): Reply {
  const reference = request.params["reference"] ?? "";
  if (!isReference(reference)) return invalidReference(reference);
  const { tags } = parts;
  const removed = isDigest(reference)
    ? tags.removeManifest(repository, reference)
    : tags.removeTag(repository, reference);
  if (!removed) return problem("MANIFEST_UNKNOWN", "manifest unknown", { reference });
  collectSoon(parts);
  return { kind: "empty", status: 202, headers: versionHeader };
}

function putHeaders(repository: string, digest: Digest): Record<string, string> {
  return { ...versionHeader, Location: `/v2/${repository}/manifests/${digest}`, "Docker-Content-Digest": digest };
}

function invalidReference(reference: string): Reply {
  return reference.includes(":")
    ? problem("DIGEST_INVALID", "provided digest is not supported", { digest: reference.slice(0, 200) })
    : problem("TAG_INVALID", "manifest tag is invalid", { tag: reference.slice(0, 200) });
}

function declaredType(bytes: Uint8Array): string | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const type = (json as { mediaType?: unknown } | null)?.mediaType;
    return typeof type === "string" ? type : undefined;
  } catch {
    return undefined;
  }
}

async function readLimited(body: Bytes, limit: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) return undefined;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
