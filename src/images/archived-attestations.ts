import { EngineError, messageOf } from "../errors/mod.ts";
import { type Descriptor, type Digest, decodeManifest, digestOf, hexOf, mediaTypes } from "../oci/mod.ts";
import { type Archive, readFileAt } from "./archive.ts";
import { type Artifact, attestationManifest, attestationManifestOf, predicateAnnotation } from "./attestations.ts";
import type { Attestation, Statement } from "./images.ts";

/** Statements that one image may come with; BuildKit writes two or three. */
const maxStatements = 16;

/** An image's manifest with what is said about it, as one entry of an archive's index (BuildKit `docs/attestations/attestation-storage.md`). */
export function attestedIndex(statements: readonly Statement[], image: Descriptor): Artifact {
  const attested = attestationManifestOf(statements, image.digest);
  const { platform: _, ...plain } = image;
  const body = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [image, attested.manifest] };
  const bytes = Buffer.from(JSON.stringify(body));
  const manifest = { ...plain, mediaType: mediaTypes.index, digest: digestOf(bytes), size: bytes.length };
  return { manifest, bytes, blobs: [...attested.blobs, { descriptor: attested.manifest, bytes: attested.bytes }] };
}

/** The entry of an index that says something about an image. */
export function attestedDigest({ annotations }: Descriptor): string | undefined {
  if (annotations?.["vnd.docker.reference.type"] !== attestationManifest) return undefined;
  return annotations["vnd.docker.reference.digest"];
}

export interface ArchivedAttestations {
  readonly attestations: readonly Attestation[];
  /** What was left out, and why. */
  readonly leftOut: readonly string[];
}

export const nothingAttested: ArchivedAttestations = { attestations: [], leftOut: [] };

/** Reads what an archive says about the image with this manifest. What cannot be read is left out: the image is good without it. */
export async function archivedAttestations(
  archive: Archive,
  { entry, image }: { readonly entry: Descriptor; readonly image: Digest },
): Promise<ArchivedAttestations> {
  const attestations: Attestation[] = [];
  const leftOut: string[] = [];
  try {
    const { layers } = decodeManifest(await bytesOf(archive, entry), entry.mediaType);
    if (layers.length > maxStatements) throw new EngineError("invalid", `more than ${maxStatements} attestations`);
    for (const layer of layers) {
      const what = layer.annotations?.[predicateAnnotation] ?? layer.mediaType;
      try {
        attestations.push(attestationIn(await bytesOf(archive, layer), image));
      } catch (err) {
        leftOut.push(`${what.slice(0, 200)}: ${messageOf(err)}`);
      }
    }
  } catch (err) {
    leftOut.push(`${entry.digest}: ${messageOf(err)}`);
  }
  return { attestations, leftOut };
}

async function bytesOf(archive: Archive, { digest }: Descriptor): Promise<Uint8Array> {
  const bytes = await readFileAt(archive, `blobs/${digest.replace(":", "/")}`);
  if (bytes && digestOf(bytes) === digest) return bytes;
  throw new EngineError("invalid", `${digest} is not in the archive`);
}

/** Throws "invalid" for what is no in-toto statement about this manifest. */
function attestationIn(bytes: Uint8Array, image: Digest): Attestation {
  const { _type, subject, predicateType, predicate } = objectIn(bytes);
  const isStatement = typeof _type === "string" && _type.startsWith("https://in-toto.io/Statement/");
  if (!isStatement || typeof predicateType !== "string" || predicateType.length > 1000 || !predicate) {
    throw new EngineError("invalid", "no in-toto statement");
  }
  const about = Array.isArray(subject) && subject.some((one) => one?.digest?.sha256 === hexOf(image));
  if (!about) throw new EngineError("invalid", `it says nothing about ${image}`);
  return { predicateType, predicate: new TextEncoder().encode(JSON.stringify(predicate)) };
}

function objectIn(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof json === "object" && json !== null) return json as Record<string, unknown>;
  } catch (err) {
    throw new EngineError("invalid", "invalid JSON", { cause: err });
  }
  throw new EngineError("invalid", "an object is expected");
}
