import type { IncomingMessage } from "node:http";
import { EngineError, messageOf } from "../errors/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type { HttpRequest, Method } from "./http.ts";
import type { Match } from "./router.ts";

const defaultJsonLimit = 4 * 1024 * 1024;

/** What a request line asks for, before any route is known. */
export interface Target {
  readonly method: Method;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly apiVersion: string;
}

/** Splits the request line. `versioned.newest` makes a leading `/v1.xx` the API version instead of a part of the path. */
export function targetOf(message: IncomingMessage, versioned?: { readonly newest: string }): Target {
  const url = (message.url ?? "/").replace(/^https?:\/\/[^/?]*/i, "") || "/";
  const mark = url.indexOf("?");
  const whole = mark < 0 ? url : url.slice(0, mark);
  const prefix = versioned ? /^\/v([0-9][0-9.]*)(?=\/)/.exec(whole) : null;
  return {
    method: (message.method ?? "GET") as Method,
    path: prefix ? whole.slice(prefix[0].length) : whole,
    query: new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1)),
    apiVersion: prefix?.[1] ?? versioned?.newest ?? "",
  };
}

export interface RequestParts {
  readonly message: IncomingMessage;
  readonly target: Target;
  readonly match: Match;
  readonly body: Bytes;
  readonly signal: AbortSignal;
}

export function requestOf({ message, target, match, body, signal }: RequestParts): HttpRequest {
  const length = Number(message.headers["content-length"] ?? 0);
  return {
    method: target.method,
    params: match.params,
    query: target.query,
    headers: message.headers,
    apiVersion: target.apiVersion,
    body,
    json: (limit = defaultJsonLimit) => readJson(body, { limit, announced: length }),
    signal,
  };
}

async function readJson(body: Bytes, size: { limit: number; announced: number }): Promise<unknown> {
  if (size.announced > size.limit) throw tooLarge(size.limit);
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of body) {
    total += chunk.length;
    if (total > size.limit) throw tooLarge(size.limit);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  return text.trim() === "" ? undefined : parse(text);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (err) {
    throw new EngineError("invalid", `invalid JSON: ${messageOf(err)}`, { cause: err });
  }
}

function tooLarge(limit: number): EngineError {
  return new EngineError("invalid", `request body too large: at most ${limit} bytes are accepted here`);
}
