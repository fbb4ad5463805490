import type { Builder, FailurePlace } from "../builder/mod.ts";
import { messageOf } from "../errors/mod.ts";
import type { ErrorDetail } from "../grpc/mod.ts";
import type { Digest } from "../oci/mod.ts";

/**
 * What BuildKit says about a failure beside its words (`solver/errdefs`): clients print the lines of the Dockerfile from it. The
 * types are registered as JSON (`errdefs.Source+json`), although BuildKit has messages for them.
 */
export interface Failure {
  readonly message: string;
  readonly details: readonly ErrorDetail[];
}

export interface Failed {
  /** Whose error it may be. */
  readonly builder?: Pick<Builder, "failurePlace"> | undefined;
  /** The step that failed, if one did. */
  readonly vertex?: Digest | undefined;
}

interface Known extends Pick<Failed, "vertex"> {
  readonly place: FailurePlace | undefined;
}

/** Bytes of a Dockerfile: they travel base64 twice over, in a block of HTTP/2's headers that has 64 KiB here. */
const mostData = 16 * 1024;

export function detailedFailure(err: unknown, { place, vertex }: Known): Failure {
  const source = place && sourceOf(place);
  const step = vertex === undefined ? [] : [detail("Vertex", { digest: vertex })];
  const message = source ? place.message : messageOf(err);
  return { message, details: [...step, ...(source ? [source] : [])] };
}

/** Without the lines of the Dockerfile, which clients show by themselves. */
export function shownMessage(err: unknown, builder: Failed["builder"]): string {
  return builder?.failurePlace(err)?.message ?? messageOf(err);
}

function sourceOf(place: FailurePlace): ErrorDetail | undefined {
  const text = place.text(mostData);
  if (text === undefined) return undefined;
  const { name: filename, lines } = place;
  const info = { filename, data: Buffer.from(text).toString("base64"), language: "Dockerfile" };
  return detail("Source", { info, ranges: [{ start: { line: lines.line }, end: { line: lines.endLine } }] });
}

function detail(type: "Source" | "Vertex", value: object): ErrorDetail {
  return { typeUrl: `github.com/moby/buildkit/errdefs.${type}+json`, value: Buffer.from(JSON.stringify(value)) };
}
