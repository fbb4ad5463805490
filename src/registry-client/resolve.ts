import { EngineError } from "../errors/mod.ts";
import { type Descriptor, digestOf, isDigest, manifestLimit, mediaTypes, type Reference } from "../oci/mod.ts";
import { RegistryFailure } from "./failure.ts";
import { type ClientContext, firstAnswer } from "./lookup.ts";
import type { RegistryOptions } from "./registry-client.ts";
import type { Session } from "./session.ts";

export const manifestAccept = [
  mediaTypes.index,
  mediaTypes.manifest,
  mediaTypes.dockerManifestList,
  mediaTypes.dockerManifest,
].join(", ");

/** See `RegistryClient.resolve`. */
export function resolve(context: ClientContext, ref: Reference, options: RegistryOptions): Promise<Descriptor> {
  return firstAnswer(context, ref, { ...options, ask: (session) => resolveAt(session, ref) });
}

async function resolveAt(session: Session, ref: Reference): Promise<Descriptor> {
  const path = `/v2/${ref.path}/manifests/${ref.digest ?? ref.tag ?? "latest"}`;
  const headers = { Accept: manifestAccept };
  const head = await session.send({ method: "HEAD", path, headers, also: [400, 401, 403, 404, 405] });
  const known = head.ok ? fromHeaders(head) : undefined;
  if (known && (!ref.digest || known.digest === ref.digest)) return known;
  // Only a GET has a body that says what is wrong; and some registries leave the digest out of a HEAD.
  const response = await session.send({ method: "GET", path, headers });
  const bytes = await readManifest(response, path);
  const digest = digestOf(bytes);
  if (ref.digest && ref.digest !== digest) {
    throw new EngineError(
      "invalid",
      `manifest verification failed for digest ${ref.digest}: the registry sent ${digest}`,
    );
  }
  return { mediaType: typeOf(response), digest, size: bytes.length };
}

function fromHeaders(response: Response): Descriptor | undefined {
  const digest = response.headers.get("docker-content-digest") ?? "";
  const size = Number(response.headers.get("content-length") || Number.NaN);
  const mediaType = typeOf(response);
  return isDigest(digest) && Number.isSafeInteger(size) && mediaType ? { mediaType, digest, size } : undefined;
}

function typeOf(response: Response): string {
  return (response.headers.get("content-type") ?? "").split(";")[0]?.trim() ?? "";
}

export async function readManifest(response: Response, path: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > manifestLimit)
      throw new EngineError("invalid", `${path}: manifest is larger than ${manifestLimit} bytes`);
    chunks.push(chunk);
  }
  if (size === 0)
    throw new RegistryFailure({ status: 404, code: "MANIFEST_UNKNOWN", message: "manifest unknown: empty" });
  return new Uint8Array(Buffer.concat(chunks));
}
