import type { Headers, HttpRequest, Reply } from "../http/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import { type AuthConfig, decodeAuthHeader } from "../wire/mod.ts";

export function json(body: unknown, status = 200): Reply {
  return { kind: "json", status, body };
}

export function empty(status: number, headers: Headers = {}): Reply {
  return { kind: "empty", status, headers };
}

/** A stream whose first chunk is waited for, so that what goes wrong before it can still be an HTTP error. */
export async function stream(type: string, bytes: Bytes, headers: Headers = {}): Promise<Reply> {
  return { kind: "stream", status: 200, type, bytes: await primed(bytes), headers };
}

async function primed(bytes: Bytes): Promise<Bytes> {
  const iterator = bytes[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    try {
      for (let item = first; !item.done; item = await iterator.next()) yield item.value;
    } finally {
      await iterator.return?.();
    }
  })();
}

/** One JSON value as a line of a stream. */
export function jsonLine(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

/** A container as paths name it: Docker's names have a leading slash that clients send along (`/containers//web/json`). */
export function refOf(request: HttpRequest): string {
  return (request.params["id"] ?? "").replace(/^\/+/, "");
}

export function param(request: HttpRequest, name: string): string {
  return request.params[name] ?? "";
}

export function header(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : value?.[0];
}

/** `{ auth }` from X-Registry-Auth, or nothing, to be spread. */
export function authOf(request: HttpRequest): { readonly auth?: AuthConfig } {
  const auth = decodeAuthHeader(header(request, "x-registry-auth"));
  return auth ? { auth } : {};
}
