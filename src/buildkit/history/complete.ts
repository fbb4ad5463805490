import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Digest, digestOf } from "../../oci/mod.ts";
import { control, rpc, timestampOf } from "../../proto/mod.ts";
import { keptOf } from "./kept.ts";
import { attributeRoom, type BuildRecord, failureOf } from "./record.ts";
import type { StatusLog } from "./status-log.ts";
import type { Blob } from "./table.ts";

/** What a build's client is told, and what the build says about its image. */
export interface BuildOutcome {
  readonly exporterResponse: Record<string, string>;
  readonly provenance?: readonly ProvenanceOf[];
}

/** Of the image, or of one platform's. */
export interface ProvenanceOf extends Provenance {
  readonly platform?: string;
}

export interface Provenance {
  readonly predicateType: string;
  /** JSON. */
  readonly predicate: Uint8Array;
}

export interface Over {
  readonly outcome: PromiseSettledResult<BuildOutcome>;
  readonly log: Promise<StatusLog>;
  readonly signal: AbortSignal;
}

const types = { status: "application/vnd.buildkit.status.v0", attestation: "application/vnd.in-toto+json" } as const;

/** Platforms; a build for more is somebody's joke. */
const mostProvenance = 16;

/** What there is to keep of a build that is over: another record, since who was told of the first may not have read it yet. */
export async function completed(
  record: BuildRecord,
  { outcome, log, signal, now }: Over & { readonly now: Date },
): Promise<{ complete: BuildRecord; blobs: Blob[] }> {
  const complete = clone(control.BuildHistoryRecordSchema, record);
  const said = await log;
  const logs = await packed(said.bytes(), said.digest());
  Object.assign(complete, said.counts(), {
    completedAt: timestampOf(now.getTime()),
    logs: described(logs, types.status),
  });
  if (outcome.status === "rejected") {
    complete.error = create(rpc.StatusSchema, failureOf(outcome.reason, signal));
    return { complete, blobs: [logs] };
  }
  const { exporterResponse, provenance = [] } = outcome.value;
  complete.exporterResponse = keptOf(exporterResponse, attributeRoom.answer);
  const blobs = [logs];
  for (const one of provenance.slice(0, mostProvenance)) {
    const blob = await packed(one.predicate, digestOf(one.predicate));
    blobs.push(blob);
    addAttestation(complete, { blob, one });
  }
  return { complete, blobs };
}

function addAttestation(to: BuildRecord, { blob, one }: { readonly blob: Blob; readonly one: ProvenanceOf }): void {
  const annotations = { "in-toto.io/predicate-type": one.predicateType };
  const attestations = [described(blob, types.attestation, annotations)];
  const info = create(control.BuildResultInfoSchema, { attestations });
  if (one.platform === undefined) to.result = info;
  else to.results[one.platform] = info;
}

async function packed(bytes: Uint8Array, digest: Digest): Promise<Blob> {
  return { digest, size: bytes.length, packed: await Bun.zstdCompress(bytes) };
}

function described({ digest, size }: Blob, mediaType: string, annotations: Record<string, string> = {}) {
  const init: MessageInitShape<typeof control.DescriptorSchema> = {
    digest,
    mediaType,
    size: BigInt(size),
    annotations,
  };
  return create(control.DescriptorSchema, init);
}
