import { closeSync, constants, readSync, statSync } from "node:fs";
import { EngineError, isKind } from "../../errors/mod.ts";
import type { JobContext } from "../../host/mod.ts";
import { type Bytes, decompress, TarDecoder } from "../../stream/mod.ts";
import { withoutBomb } from "./bomb.ts";
import { Extractor } from "./extract.ts";
import { open } from "./fs.ts";
import { rawBytes } from "./raw.ts";

export interface UnpackInput {
  /** Raw path of the file, which may be compressed with gzip or zstd. */
  readonly archive: string;
  readonly root: string;
  /** Makes the directory inside the root; asked once it is certain that this is an archive. */
  readonly base: () => string;
  readonly owners: boolean;
  readonly context: JobContext;
}

/** Unpacks a tar archive. False, and nothing done, when the file is none. Throws "invalid" for a broken one. */
export async function unpack(input: UnpackInput): Promise<boolean> {
  const { size } = statSync(rawBytes(input.archive));
  const bytes = withoutBomb(decompress(readRaw(input.archive)), () => size);
  try {
    const head = await firstBlock(bytes);
    // One of nothing begins with its end: no archive for ADD, as in BuildKit.
    if (!isTarHeader(head) || head.subarray(0, 512).every((byte) => byte === 0)) return false;
    await extract(input, { head, bytes });
    return true;
  } finally {
    await bytes.return(undefined);
  }
}

async function extract(
  input: UnpackInput,
  { head, bytes }: { head: Uint8Array; bytes: AsyncIterator<Uint8Array> },
): Promise<void> {
  const { root, owners, context } = input;
  const extractor = new Extractor({ root, base: input.base(), owners, context });
  const decoder = new TarDecoder(extractor);
  try {
    decoder.push(head);
    for (let next = await bytes.next(); !next.done; next = await bytes.next()) decoder.push(next.value);
    decoder.finish();
    extractor.finish();
  } finally {
    extractor.abandon();
  }
}

/** At least one block of 512 bytes, unless the file is shorter. A file that only looks compressed is no archive. */
async function firstBlock(bytes: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    while (size < 512) {
      const next = await bytes.next();
      if (next.done) break;
      pieces.push(Buffer.from(next.value));
      size += next.value.length;
    }
  } catch (err) {
    if (!(err instanceof EngineError) || !isKind(err, "invalid")) throw err;
    return new Uint8Array();
  }
  return Buffer.concat(pieces);
}

/** The checksum of the header is right (POSIX ustar): sums of all bytes with the checksum's own taken as blanks. */
export function isTarHeader(block: Uint8Array): boolean {
  if (block.length < 512) return false;
  const sums = Buffer.from(block.subarray(148, 156)).toString("latin1").replace(/\0.*$/s, "").trim();
  if (!/^[0-7]+$/.test(sums)) return block.subarray(0, 512).every((byte) => byte === 0) && block.length >= 1024;
  let sum = 0;
  for (let at = 0; at < 512; at++) sum += at >= 148 && at < 156 ? 32 : (block[at] ?? 0);
  return sum === Number.parseInt(sums, 8);
}

async function* readRaw(path: string): Bytes & AsyncGenerator<Uint8Array> {
  const fd = open(path, constants.O_RDONLY);
  try {
    for (;;) {
      const piece = Buffer.allocUnsafe(256 * 1024);
      const read = readSync(fd, piece);
      if (read === 0) return;
      yield piece.subarray(0, read);
    }
  } finally {
    closeSync(fd);
  }
}
