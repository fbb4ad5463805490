import { EngineError } from "../../errors/mod.ts";
import type { Bytes, TarEntry, TarHeader } from "../stream.ts";
import { TarDecoder, type TarSink } from "./decoder.ts";

type Found =
  | { readonly kind: "entry"; readonly header: TarHeader }
  | { readonly kind: "data"; readonly piece: Uint8Array }
  | { readonly kind: "hole"; readonly length: number }
  | { readonly kind: "end" };

/**
 * The entries of an uncompressed tar archive, in order; see {@link TarDecoder} for the dialects. What is left of an
 * entry's content when the next entry is asked for is skipped. Throws "invalid" for a broken or truncated archive, saying
 * where. The bytes are read to their end, also what follows the end marker.
 */
export async function* readTar(bytes: Bytes): AsyncGenerator<TarEntry> {
  const source = new Source(bytes);
  try {
    for (let found = await source.next(); found; found = await source.next()) {
      if (found.kind !== "entry") continue;
      const current = { open: true };
      yield { header: found.header, content: content(source, current) };
      current.open = false;
      await source.skipEntry();
    }
  } finally {
    await source.close();
  }
}

/** Holes are handed out in pieces of this size. */
const zeroes = new Uint8Array(64 * 1024);

async function* content(source: Source, current: { open: boolean }): AsyncGenerator<Uint8Array> {
  for (;;) {
    if (!current.open) throw new EngineError("internal", "The content of a tar entry was read after the next entry");
    const found = await source.next();
    if (found?.kind === "data") yield found.piece;
    else if (found?.kind === "hole") yield* repeatZero(found.length);
    else return;
  }
}

function* repeatZero(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= zeroes.length) {
    yield left < zeroes.length ? zeroes.subarray(0, left) : zeroes;
  }
}

/** What the decoder found in the last piece of the archive, handed out one by one; a piece is read when there is none left. */
class Source implements TarSink {
  readonly #bytes: AsyncIterator<Uint8Array>;
  readonly #decoder = new TarDecoder(this);
  #found: Found[] = [];
  #at = 0;
  #inEntry = false;

  constructor(bytes: Bytes) {
    this.#bytes = bytes[Symbol.asyncIterator]();
  }

  async next(): Promise<Found | undefined> {
    while (this.#at === this.#found.length) {
      this.#found = [];
      this.#at = 0;
      const piece = await this.#bytes.next();
      if (piece.done) {
        this.#decoder.finish();
        return undefined;
      }
      this.#decoder.push(piece.value);
    }
    const found = this.#found[this.#at++];
    this.#inEntry = found !== undefined && found.kind !== "end";
    return found;
  }

  async skipEntry(): Promise<void> {
    while (this.#inEntry) await this.next();
  }

  async close(): Promise<void> {
    await this.#bytes.return?.();
  }

  entry(header: TarHeader): void {
    this.#found.push({ kind: "entry", header });
  }

  data(piece: Uint8Array): void {
    this.#found.push({ kind: "data", piece });
  }

  hole(length: number): void {
    this.#found.push({ kind: "hole", length });
  }

  end(): void {
    this.#found.push({ kind: "end" });
  }
}
