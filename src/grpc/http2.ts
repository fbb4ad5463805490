import type { IncomingHttpHeaders } from "node:http2";
import type { Writable } from "node:stream";
import { writeTo } from "../http/mod.ts";
import { type Bytes, inPieces } from "../stream/mod.ts";

/** Bytes of one stream that may be on their way: files in 32 KiB pieces should not wait for each other. */
export const window = 1024 * 1024;

/** Without HTTP/2's own (`:status`). */
export function headersOf(headers: IncomingHttpHeaders): Headers {
  const found = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":") || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) found.append(name, String(one));
  }
  return found;
}

/**
 * gRPC's metadata may have several values of a name (grpc.io, "Metadata"), which `Headers` would join with ", ". Here they are
 * joined by what no value may hold, and taken apart again where they become HTTP/2's.
 */
export function metadata(values: Readonly<Record<string, readonly string[]>>): Headers {
  return new Headers(Object.entries(values).map(([name, all]) => [name, all.join(separator)]));
}

const separator = "\t\t";

export function plainHeaders(headers: Headers): Record<string, string | string[]> {
  return Object.fromEntries(
    [...headers].map(([name, value]) => [name, value.includes(separator) ? value.split(separator) : value]),
  );
}

/** Bytes of a DATA frame (RFC 9113, 4.2). A longer write may get stuck in Bun when it does not fit the other side's window. */
const frameSize = 16 * 1024;

/**
 * Writes and ends. Resolves with what the body failed with; a stream that has closed meanwhile takes no more, which its other
 * half tells.
 */
export async function pump(body: Bytes | undefined, stream: Writable): Promise<unknown> {
  const over = new AbortController();
  stream.once("close", () => over.abort());
  try {
    for await (const piece of body ?? []) {
      for (const part of inPieces(piece, frameSize)) await writeTo(stream, part, over.signal);
    }
    stream.end();
  } catch (err) {
    stream.destroy();
    return over.signal.aborted ? undefined : err;
  }
  return undefined;
}
