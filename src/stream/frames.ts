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
  const header = Buffer.alloc(headerSize);
  let filled = 0;
  let left = 0;
  for await (let piece of bytes) {
    while (piece.length > 0) {
      const take = Math.min(left > 0 ? left : headerSize - filled, piece.length);
      const part = piece.subarray(0, take);
      piece = piece.subarray(take);
      if (left > 0) {
        yield { stream: streamOf(header), bytes: part };
        left -= take;
        continue;
      }
      header.set(part, filled);
      filled = (filled + take) % headerSize;
      if (filled === 0) left = lengthOf(header);
    }
  }
  if (left > 0 || filled > 0) throw new EngineError("invalid", "The stream ends in the middle of a frame");
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
