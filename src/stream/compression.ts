import { createGunzip, createGzip, createZstdCompress, constants as zlib } from "node:zlib";
import { EngineError, isKind, messageOf } from "../errors/mod.ts";
import type { Bytes } from "./stream.ts";
import { throughNode, throughWeb } from "./transform.ts";

export type Compression = "gzip" | "zstd" | "bzip2" | "xz" | "none";

const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];
/** A zstd stream may begin with a skippable frame, 0x184D2A50 to 5F (RFC 8878, 3.1.2). */
const skippable = [0x2a, 0x4d, 0x18];
const longestMagic = 6;

/** What the first bytes (six are enough) say that a stream is compressed with; "none" for all else. */
export function sniff(head: Uint8Array): Compression {
  for (const [name, magic] of magics) if (magic.every((byte, at) => head[at] === byte)) return name;
  if (((head[0] ?? 0) & 0xf0) === 0x50 && skippable.every((byte, at) => head[at + 1] === byte)) return "zstd";
  return "none";
}

export interface DecompressOptions {
  /** Decompresses what needs a program. Without it such data is refused as "not-implemented". */
  readonly external?: (format: "bzip2" | "xz", bytes: Bytes) => Bytes;
}

/** Plain bytes of gzip (any number of members), zstd or uncompressed data, told apart by their first bytes. Broken or truncated data throws "invalid". */
export async function* decompress(bytes: Bytes, options: DecompressOptions = {}): AsyncGenerator<Uint8Array> {
  const { head, all } = await peek(bytes);
  const format = sniff(head);
  switch (format) {
    case "none":
      return yield* all;
    case "gzip":
      return yield* explain("gzip", throughNode(all, createGunzip({ chunkSize: 256 * 1024 })));
    case "zstd":
      // node:zlib's stream takes a truncated frame for a whole one in Bun 1.4.5; this one does not.
      return yield* explain("zstd", throughWeb(all, new DecompressionStream("zstd" as CompressionFormat)));
    case "bzip2":
    case "xz":
      if (options.external) return yield* options.external(format, all);
      await all.return(undefined);
      throw new EngineError("not-implemented", `Data compressed with ${format} is not supported here`);
    default:
      format satisfies never;
  }
}

export interface CompressOptions {
  /** 1 to 9 for gzip (default 6), 1 to 22 for zstd (default 3). */
  readonly level?: number;
}

/** The same bytes and level give the same output: neither format carries a name or time. */
export function compress(bytes: Bytes, format: "gzip" | "zstd", options: CompressOptions = {}): Bytes {
  if (format === "gzip") return throughNode(bytes, createGzip({ level: options.level ?? 6, chunkSize: 256 * 1024 }));
  const params = { [zlib.ZSTD_c_compressionLevel]: options.level ?? 3 };
  return throughNode(bytes, createZstdCompress({ params, chunkSize: 256 * 1024 }));
}

/** Failures of the decompressor become "invalid"; those of the source have a kind of their own and keep it. */
async function* explain(format: string, bytes: Bytes): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (err) {
    if (err instanceof EngineError || isKind(err, "canceled") || isSystemError(err)) throw err;
    throw new EngineError("invalid", `Cannot decompress ${format} data: ${messageOf(err)}`, { cause: err });
  }
}

function isSystemError(err: unknown): boolean {
  return err instanceof Error && "syscall" in err;
}

/** The first bytes, at least as many as a magic number has if there are, and the whole stream with them. */
export async function peek(bytes: Bytes): Promise<{ head: Uint8Array; all: AsyncGenerator<Uint8Array> }> {
  const rest = bytes[Symbol.asyncIterator]();
  const pieces: Uint8Array[] = [];
  let size = 0;
  while (size < longestMagic) {
    const next = await rest.next();
    if (next.done) break;
    pieces.push(next.value);
    size += next.value.length;
  }
  return { head: Buffer.concat(pieces), all: resume(pieces, rest) };
}

async function* resume(pieces: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* pieces;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
