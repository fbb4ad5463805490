import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { EngineError } from "../errors/mod.ts";
import type { Bytes } from "./stream.ts";

/** One piece, or none when it is empty. */
export async function* fromBuffer(bytes: Uint8Array | string): AsyncGenerator<Uint8Array> {
  const piece = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
  if (piece.length > 0) yield piece;
}

/** The same bytes, at most `size` of them at once. */
export function* inPieces(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const batch = 1 << 18;

/** Joins the many small pieces of an archive, each of which would cost its reader a turn. Nothing passes before 256 KiB have come, or the end. */
export async function* batched(bytes: Bytes): AsyncGenerator<Uint8Array> {
  let pending: Uint8Array[] = [];
  let size = 0;
  for await (const piece of bytes) {
    pending.push(piece);
    size += piece.length;
    if (size < batch) continue;
    yield Buffer.concat(pending);
    pending = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(pending);
}

/** Everything in one buffer. Throws "invalid" beyond `limit` bytes, having read no more than the piece that went over it. */
export async function collect(bytes: Bytes, limit: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of bytes) {
    size += piece.length;
    if (size > limit) throw new EngineError("invalid", `More than the ${limit} bytes allowed`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, size);
}

const fileChunk = 256 * 1024;

/** Bytes `start` up to, not including, `end` of a file (default: all of it). Fails with the error of open(2) or read(2). */
export async function* fromFile(
  path: string,
  range: { start?: number; end?: number } = {},
): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r");
  try {
    let at = range.start ?? 0;
    const end = range.end ?? Number.POSITIVE_INFINITY;
    while (at < end) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(fileChunk, end - at)), {
        position: at,
      });
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

export interface Digested {
  readonly digest: `sha256:${string}`;
  readonly size: number;
}

/**
 * Passes bytes through and hashes them. `done` settles when the last byte has passed: it rejects when the source fails
 * ("canceled" when the reader stops early), and need not be looked at.
 */
export function digesting(bytes: Bytes): { bytes: Bytes; done: Promise<Digested> } {
  const { promise, resolve, reject } = Promise.withResolvers<Digested>();
  promise.catch(() => undefined); // whoever reads the bytes sees the failure there
  return { bytes: hashThrough(bytes, { resolve, reject }), done: promise };
}

async function* hashThrough(
  bytes: Bytes,
  done: { resolve(result: Digested): void; reject(err: unknown): void },
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  let size = 0;
  try {
    for await (const piece of bytes) {
      hash.update(piece);
      size += piece.length;
      yield piece;
    }
    done.resolve({ digest: `sha256:${hash.digest("hex")}`, size });
  } catch (err) {
    done.reject(err);
    throw err;
  } finally {
    done.reject(new EngineError("canceled", "The bytes were not read to their end"));
  }
}
