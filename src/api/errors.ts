import { type ErrorKind, kindOf, messageOf } from "../errors/mod.ts";
import type { Reply, ServeOptions } from "../http/mod.ts";
import type { Log } from "../log/mod.ts";
import { empty, json } from "./reply.ts";

const statuses: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  "not-found": 404,
  conflict: 409,
  "not-modified": 304,
  unauthorized: 401,
  forbidden: 403,
  unavailable: 503,
  "not-implemented": 501,
  canceled: 500,
  internal: 500,
};

export function statusOf(kind: ErrorKind): number {
  return statuses[kind];
}

/** Turns what a handler threw into `{"message": …}`; what is our own fault is logged, once, here. */
export function apiErrors(log: Log): ServeOptions["onError"] {
  return (err, { method, path }) => {
    const kind = kindOf(err);
    if (kind === "not-modified") return empty(304);
    const fields = { method, path, error: messageOf(err), ...(err instanceof Error && { stack: err.stack }) };
    if (kind === "internal") log.error("Request failed", fields);
    else log.debug("Request refused", { method, path, error: messageOf(err) });
    return json({ message: messageOf(err) }, statusOf(kind));
  };
}

/** What dockerd says to a path, or a method on a path, that it does not know. */
export function apiMissing(): Reply {
  return json({ message: "page not found" }, 404);
}
