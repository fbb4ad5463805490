import { type ErrorKind, kindOf, messageOf } from "../errors/mod.ts";
import type { Headers, Reply } from "../http/mod.ts";

/** Error codes of the OCI distribution-spec ("Error Codes"), with the statuses that the specification and `distribution` give them. */
const statuses = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  RANGE_INVALID: 416,
  SIZE_INVALID: 400,
  TAG_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
} as const;

export type ProblemCode = keyof typeof statuses;

export const versionHeader: Headers = { "Docker-Distribution-API-Version": "registry/2.0" };

/** An answer that says what is wrong, in the specification's shape. */
export function problem(code: ProblemCode, message: string, detail: unknown = null): Reply & { kind: "json" } {
  const body = { errors: [{ code, message, detail }] };
  return { kind: "json", status: statuses[code], body, headers: versionHeader };
}

const codes: Readonly<Record<ErrorKind, ProblemCode>> = {
  invalid: "MANIFEST_INVALID",
  "not-found": "BLOB_UNKNOWN",
  conflict: "DENIED",
  "not-modified": "UNKNOWN",
  unauthorized: "UNAUTHORIZED",
  forbidden: "DENIED",
  unavailable: "UNAVAILABLE",
  "not-implemented": "UNSUPPORTED",
  canceled: "UNAVAILABLE",
  internal: "UNKNOWN",
};

/** The answer to whatever a handler threw; what is internal stays internal. For `ServeOptions.onError`. */
export function problemOf(err: unknown): Reply {
  const kind = kindOf(err);
  return problem(codes[kind], kind === "internal" ? "internal error" : messageOf(err));
}

/** The answer to a path that is none of the registry's. For `ServeOptions.onMissing`. */
export function noSuchPath(): Reply {
  return { kind: "text", status: 404, type: "text/plain; charset=utf-8", body: "404 page not found\n" };
}
