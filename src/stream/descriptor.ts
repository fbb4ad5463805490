import { closeSync, readSync, writeSync } from "node:fs";

const chunk = 256 * 1024;

/**
 * `size` bytes of an open file, or fewer when it has shrunk meanwhile; closes it at the end, and when the reader stops. The
 * reads block: for files whose name is no text, or that must be the one that was opened. Otherwise, `fromFile`.
 */
export async function* fromDescriptor(fd: number, size: number): AsyncGenerator<Uint8Array> {
  try {
    for (let left = size; left > 0; ) {
      const piece = Buffer.allocUnsafe(Math.min(left, chunk));
      const count = readSync(fd, piece);
      if (count === 0) return;
      left -= count;
      yield piece.subarray(0, count);
    }
  } finally {
    closeSync(fd);
  }
}

/** Writes the whole piece at `file.at`, and moves that on. Throws the error of pwrite(2); `at` tells how far it came. */
export function writePiece(file: { readonly fd: number; at: number }, piece: Uint8Array): void {
  for (let put = 0; put < piece.length; ) {
    const count = writeSync(file.fd, piece, put, piece.length - put, file.at);
    put += count;
    file.at += count;
  }
}
