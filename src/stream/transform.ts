import { once } from "node:events";
import type { Transform } from "node:stream";
import type { Bytes } from "./stream.ts";

/** Bytes through a Node transform, written no faster than it drains. A reader that stops early stops the source. */
export async function* throughNode(bytes: Bytes, transform: Transform): AsyncGenerator<Uint8Array> {
  pump(bytes, transform).catch((err: unknown) => transform.destroy(err as Error));
  try {
    yield* transform as AsyncIterable<Uint8Array>;
  } finally {
    transform.destroy();
  }
}

async function pump(bytes: Bytes, transform: Transform): Promise<void> {
  for await (const piece of bytes) {
    if (transform.destroyed) return;
    if (!transform.write(piece)) await drained(transform);
  }
  transform.end();
}

/** A destroyed transform never drains, so its end ends the wait too. */
async function drained(transform: Transform): Promise<void> {
  const settled = new AbortController();
  const events = ["drain", "close"].map((name) => once(transform, name, { signal: settled.signal }));
  for (const event of events) event.catch(() => undefined);
  await Promise.race(events).finally(() => settled.abort());
}

/** Bytes through a web transform. A reader that stops early stops the source. */
export async function* throughWeb(
  bytes: Bytes,
  transform: { readable: ReadableStream; writable: WritableStream },
): AsyncGenerator<Uint8Array> {
  const writer = transform.writable.getWriter();
  feed(bytes, writer).catch((err: unknown) => writer.abort(err).catch(() => undefined));
  const reader = (transform.readable as ReadableStream<Uint8Array>).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function feed(bytes: Bytes, writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
  for await (const piece of bytes) {
    await writer.ready;
    await writer.write(piece);
  }
  await writer.close();
}
