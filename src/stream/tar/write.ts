import { EngineError } from "../../errors/mod.ts";
import type { Bytes, TarEntry } from "../stream.ts";
import { encodeTarHeader, tarEnd, tarPadding } from "./encode.ts";

/** A tar archive of these entries; see {@link encodeTarHeader} for its form. Throws "invalid" when a content is not as long as its header says. */
export async function* writeTar(entries: AsyncIterable<TarEntry> | Iterable<TarEntry>): AsyncGenerator<Uint8Array> {
  for await (const { header, content } of entries) {
    yield encodeTarHeader(header);
    yield* exactly(content, header);
    const padding = tarPadding(header.size);
    if (padding.length > 0) yield padding;
  }
  yield tarEnd;
}

async function* exactly(content: Bytes, { name, size }: TarEntry["header"]): AsyncGenerator<Uint8Array> {
  let left = size;
  for await (const piece of content) {
    left -= BigInt(piece.length);
    if (left < 0n) break;
    yield piece;
  }
  if (left === 0n) return;
  const found = left < 0n ? "more" : `${size - left}`;
  throw new EngineError(
    "invalid",
    `${JSON.stringify(String(Buffer.from(name)))} has ${found} bytes of content, not ${size}`,
  );
}
