import { create } from "@bufbuild/protobuf";
import { Code, type ErrorDetail, errorDetails } from "../../grpc/mod.ts";
import { control, timestampOf } from "../../proto/mod.ts";
import { grpcError } from "../errors.ts";
import { outputsOf } from "../exporter.ts";
import { keptOf, keptText } from "./kept.ts";

export type BuildRecord = control.BuildHistoryRecord;

/** Characters of a reference and of an error; outputs, of which a build has a few. */
const most = { ref: 256, error: 16 * 1024, outputs: 8 } as const;

/** Bytes of attributes: of the frontend's, of one output's, and of the answer. */
export const attributeRoom = { frontend: 32 * 1024, output: 8 * 1024, answer: 16 * 1024 } as const;

export const eventType = { started: 0, complete: 1, deleted: 2 } as const;

/** undefined for a build of which none is kept: an internal one, by which a client only asks, and one without a usable name. */
export function recordOf(request: control.SolveRequest, now: Date): BuildRecord | undefined {
  const { ref, internal, frontend, frontendAttrs } = request;
  if (internal || ref === "" || ref.length > most.ref) return undefined;
  return create(control.BuildHistoryRecordSchema, {
    ref,
    frontend: keptText(frontend),
    frontendAttrs: keptOf(frontendAttrs, attributeRoom.frontend),
    exporters: outputsOf(request)
      .slice(0, most.outputs)
      .map(({ type, attributes }) => ({ type: keptText(type), attrs: keptOf(attributes, attributeRoom.output) })),
    createdAt: timestampOf(now.getTime()),
  });
}

export interface RecordedFailure {
  readonly code: number;
  readonly message: string;
  /** The lines of the Dockerfile, for who looks at the record later. */
  readonly details?: ErrorDetail[];
}

/** In BuildKit's words for a build that was given up, by which its clients know it. */
export function failureOf(err: unknown, { aborted }: AbortSignal): RecordedFailure {
  const told = grpcError(err);
  const { code } = told;
  const message = keptText(told.rawMessage, most.error);
  if (code !== Code.Canceled && !aborted) return { code, message, details: errorDetails(told) };
  return { code: Code.Canceled, message: message.includes(canceled) ? message : `${message}: ${canceled}` };
}

const canceled = "context canceled";

export function eventOf(type: keyof typeof eventType, record: BuildRecord): control.BuildHistoryEvent {
  return create(control.BuildHistoryEventSchema, { type: eventType[type], record });
}
