import { EngineError } from "../errors/mod.ts";
import {
  type Descriptor,
  type Digest,
  digestOf,
  hexOf,
  type ImageConfig,
  imagePurl,
  mediaTypes,
  parseReference,
  type Reference,
} from "../oci/mod.ts";
import { type Context, tagsOf } from "./context.ts";
import { requireRow } from "./find.ts";
import type { Attestation, Image, Statement } from "./images.ts";
import { type AttestationRow, attestationsOf, type ImageRow, imageById, namesOf, putAttestation } from "./table.ts";

/** What a blob or a manifest of it is annotated with (in-toto attestation framework, "Bundle"; BuildKit `attestation-storage.md`). */
export const predicateAnnotation = "in-toto.io/predicate-type";

/** See `Images.attest`. */
export function attestImage(context: Context, image: Image, attestations: readonly Attestation[]): Promise<void> {
  return context.leases.hold(async () => {
    const rows = await putPredicates(context, attestations);
    context.db.write((tx) => {
      if (!imageById(tx, image.id)) throw new EngineError("not-found", `No such image: ${image.id}`);
      for (const row of rows) putAttestation(tx, image.id, row);
    });
  });
}

/** The rows of attestations, whose bytes are then in the content store. To be called under a lease. */
export async function putPredicates(
  { content }: Pick<Context, "content">,
  attestations: readonly Attestation[],
): Promise<AttestationRow[]> {
  const rows: AttestationRow[] = [];
  for (const { predicateType, predicate } of attestations) {
    const digest = await content.put(predicate);
    rows.push({ predicate_type: predicateType, digest, size: predicate.length });
  }
  return rows;
}

/** See `Images.attestations`: about the image as it is here, under all its names. */
export function imageStatements(context: Context, refOrId: string): Promise<Statement[]> {
  return context.leases.hold(async () => {
    const { row, names } = context.db.read((q) => {
      const found = requireRow(q, refOrId);
      return { row: found, names: tagsOf(namesOf(q, found.id)).map(parseReference) };
    });
    return statementsOf(context, { row, digest: row.manifest, names });
  });
}

export interface Subject {
  readonly row: ImageRow;
  /** Of the manifest that the statements are about. */
  readonly digest: Digest;
  readonly names: readonly Reference[];
}

/** What is attested of an image, as statements about one manifest of it. To be called under a lease. */
export async function statementsOf(context: Pick<Context, "db" | "content">, subject: Subject): Promise<Statement[]> {
  const { row, digest, names } = subject;
  const { os, architecture, variant } = JSON.parse(row.config) as ImageConfig;
  const platform = { os, architecture, ...(variant && { variant }) };
  const texts = names.length === 0 ? ["_"] : names.map((name) => imagePurl(name, platform));
  const subjects = texts.map((name) => ({ name, digest: { sha256: hexOf(digest) } }));
  const found: Statement[] = [];
  for (const attested of context.db.read((q) => attestationsOf(q, row.id))) {
    const predicate = await context.content.read(attested.digest);
    found.push(statement(attested.predicate_type, { subjects, predicate }));
  }
  return found;
}

/** An in-toto statement around a predicate, whose bytes stay as they are. SLSA's versions before 1 belong into the older one (in-toto `spec/v1/statement.md`). */
function statement(
  predicateType: string,
  { subjects, predicate }: { subjects: readonly object[]; predicate: Uint8Array },
): Statement {
  const version = predicateType.endsWith("/v0.2") ? "v0.1" : "v1";
  const head = { _type: `https://in-toto.io/Statement/${version}`, predicateType, subject: subjects };
  const front = JSON.stringify(head).slice(0, -1);
  const bytes = Buffer.concat([Buffer.from(`${front},"predicate":`), predicate, Buffer.from("}")]);
  return { predicateType, bytes };
}

export interface Artifact {
  readonly manifest: Descriptor;
  readonly bytes: Uint8Array;
  /** What the manifest refers to. */
  readonly blobs: readonly { readonly descriptor: Descriptor; readonly bytes: Uint8Array }[];
}

/** A statement as an artifact that refers to an image's manifest (OCI image-spec 1.1, "Guidelines for Artifact Usage"). The same gives the same bytes. */
export function referrerOf({ predicateType, bytes: text }: Statement, subject: Descriptor): Artifact {
  const annotations = { [predicateAnnotation]: predicateType };
  const blob = described(text, mediaTypes.inToto);
  const config = described(Buffer.from("{}"), mediaTypes.empty);
  const bytes = encode({
    ...{ schemaVersion: 2, mediaType: mediaTypes.manifest, artifactType: mediaTypes.inToto },
    ...{ config: config.descriptor, layers: [{ ...blob.descriptor, annotations }], subject, annotations },
  });
  const manifest = { mediaType: mediaTypes.manifest, digest: digestOf(bytes), size: bytes.length };
  return { manifest: { ...manifest, artifactType: mediaTypes.inToto, annotations }, bytes, blobs: [config, blob] };
}

/** All statements in one manifest that stands beside the image's in an index (BuildKit `docs/attestations/attestation-storage.md`). */
export function attestationManifestOf(statements: readonly Statement[], image: Digest): Artifact {
  const blobs = statements.map(({ predicateType, bytes }) => {
    const { descriptor } = described(bytes, mediaTypes.inToto);
    return { descriptor: { ...descriptor, annotations: { [predicateAnnotation]: predicateType } }, bytes };
  });
  const layers = blobs.map(({ descriptor }) => descriptor);
  const rootfs = { type: "layers", diff_ids: layers.map(({ digest }) => digest) };
  const platform = { architecture: "unknown", os: "unknown" };
  const config = described(encode({ ...platform, config: {}, rootfs }), mediaTypes.config);
  const body = { schemaVersion: 2, mediaType: mediaTypes.manifest, config: config.descriptor, layers };
  const bytes = encode(body);
  const annotations = {
    "vnd.docker.reference.digest": image,
    "vnd.docker.reference.type": attestationManifest,
  };
  const { descriptor } = described(bytes, mediaTypes.manifest);
  return { manifest: { ...descriptor, annotations, platform }, bytes, blobs: [config, ...blobs] };
}

export const attestationManifest = "attestation-manifest";

function described(bytes: Uint8Array, mediaType: string): { descriptor: Descriptor; bytes: Uint8Array } {
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
