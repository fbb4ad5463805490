import { EngineError } from "../errors/mod.ts";
import type { Bytes } from "./stream.ts";

/** Docker's multiplexed streams (Engine API, "Attach to a container", stream format). */
export type FrameStream = "stdin" | "stdout" | "stderr";

const names: readonly FrameStream[] = ["stdin", "stdout", "stderr"];
const headerSize = 8;

/** The 8-byte header (stream, three zeroes, length in big endian) followed by the bytes; at most 4 GiB less one. */
export function frame(stream: FrameStream, bytes: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(stream, bytes.length), bytes]);
}

/** What {@link frame} puts in front of so many bytes. */
export function frameHeader(stream: FrameStream, length: number): Buffer {
  const header = Buffer.allocUnsafe(headerSize);
  header.writeUInt32BE(names.indexOf(stream) * 0x1000000, 0);
  header.writeUInt32BE(length, 4);
  return header;
}

export interface FramePiece {
  readonly stream: FrameStream;
  readonly bytes: Uint8Array;
}

/** Undoes {@link frame}. A frame comes in as many pieces as it arrives in: nothing is buffered but headers. Throws "invalid" for an unknown stream and for an end in the middle of a frame. */
export async function* readFrames(bytes: Bytes): AsyncGenerator<FramePiece> {
  const reader = new FrameReader();
  for await (const piece of bytes) yield* reader.pieces(piece);
  reader.end();
}

/** The same, where frames of one stream that arrive together are one: a log is mostly short lines. */
export async function* readFrameRuns(bytes: Bytes): AsyncGenerator<FramePiece> {
  const reader = new FrameReader();
  for await (const piece of bytes) {
    let run: Uint8Array[] = [];
    let last: FrameStream = "stdout";
    for (const { stream, bytes: part } of reader.pieces(piece)) {
      if (run.length > 0 && stream !== last) {
        yield joined(last, run);
        run = [];
      }
      last = stream;
      run.push(part);
    }
    if (run.length > 0) yield joined(last, run);
  }
  reader.end();
}

function joined(stream: FrameStream, run: readonly Uint8Array[]): FramePiece {
  return { stream, bytes: run.length === 1 && run[0] ? run[0] : Buffer.concat(run) };
}

class FrameReader {
  readonly #header = Buffer.alloc(headerSize);
  #filled = 0;
  #left = 0;

  *pieces(arrived: Uint8Array): Generator<FramePiece> {
    for (let at = 0; at < arrived.length; ) {
      const take = Math.min(this.#left > 0 ? this.#left : headerSize - this.#filled, arrived.length - at);
      const part = arrived.subarray(at, at + take);
      at += take;
      if (this.#left > 0) {
        this.#left -= take;
        yield { stream: streamOf(this.#header), bytes: part };
        continue;
      }
      this.#header.set(part, this.#filled);
      this.#filled = (this.#filled + take) % headerSize;
      if (this.#filled === 0) this.#left = lengthOf(this.#header);
    }
  }

  end(): void {
    if (this.#left === 0 && this.#filled === 0) return;
    throw new EngineError("invalid", "The stream ends in the middle of a frame");
  }
}

function lengthOf(header: Buffer): number {
  streamOf(header);
  return header.readUInt32BE(4);
}

function streamOf(header: Buffer): FrameStream {
  const stream = names[header[0] ?? -1];
  if (!stream) throw new EngineError("invalid", `Unknown stream ${header[0]} in a frame header`);
  return stream;
}
