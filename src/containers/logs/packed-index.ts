import { EngineError } from "../../errors/mod.ts";

/**
 * A packed segment is a row of zstd frames (RFC 8878), each of up to 1 MiB of whole lines, and at its end a skippable frame
 * that says where they are: `zstdcat` reads the file as it is, and a reader finds any time or line without unpacking more
 * than one frame. The skippable frame is its magic number, its length, JSON, and 8 bytes by which it is found from the end.
 */
export interface Frame {
  /** In the file, in bytes. */
  readonly at: number;
  readonly length: number;
  /** Bytes when unpacked. */
  readonly plain: number;
  /** Records that end a line. */
  readonly lines: number;
  /** Times of the first and the last record: RFC 3339 in UTC. */
  readonly first: string;
  readonly last: string;
}

const magic = 0x184d2a5e;
const mark = Buffer.from("BLOG");
export const trailerSize = 8;
/** An index of a million frames is none of ours. */
const largest = 128 * 1024 * 1024;

export function encodeIndex(frames: readonly Frame[]): Buffer {
  const rows = frames.map(({ at, length, plain, lines, first, last }) => [at, length, plain, lines, first, last]);
  const json = Buffer.from(JSON.stringify(rows));
  const head = Buffer.alloc(8);
  head.writeUInt32LE(magic, 0);
  head.writeUInt32LE(json.length + trailerSize, 4);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(json.length, 0);
  return Buffer.concat([head, json, size, mark]);
}

/** How many bytes before the trailer are the index. Throws "internal" for a file that is no packed segment. */
export function indexLength(trailer: Buffer): number {
  const length = trailer.length === trailerSize ? trailer.readUInt32LE(0) : 0;
  if (length < 2 || length > largest || !trailer.subarray(4).equals(mark)) {
    throw new EngineError("internal", "A packed log has no index at its end");
  }
  return length;
}

export function decodeIndex(json: Buffer): Frame[] {
  const rows = JSON.parse(json.toString()) as [number, number, number, number, string, string][];
  return rows.map(([at, length, plain, lines, first, last]) => ({ at, length, plain, lines, first, last }));
}
