import { ftruncateSync, readSync, writeSync } from "node:fs";
import { errnoName, systemError } from "../errno.ts";
import { errno, libc } from "../libc.ts";

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const step = 64 * 1024 * 1024;

export interface DataCopy {
  readonly from: number;
  readonly to: number;
  /** Bytes of the file, holes included. */
  readonly size: number;
  /** Called now and then. */
  check(): void;
}

/** Copies a file's content between descriptors, leaving holes as holes. */
export function copyData(copy: DataCopy): void {
  for (const { start, end } of dataRanges(copy.from, copy.size)) copyRange(copy, start, end);
  ftruncateSync(copy.to, copy.size);
}

/** Where a file of `size` bytes has content between its holes. */
export function* dataRanges(fd: number, size: number): Generator<{ readonly start: number; readonly end: number }> {
  for (let at = 0; at < size; ) {
    const start = seek(fd, { at, whence: SEEK_DATA });
    if (start < 0 || start >= size) return;
    const end = Math.min(seek(fd, { at: start, whence: SEEK_HOLE }), size);
    yield { start, end };
    at = end;
  }
}

/** -1 when there is nothing of that kind any more. */
function seek(fd: number, { at, whence }: { at: number; whence: number }): number {
  const found = Number(libc.lseek(fd, at, whence));
  if (found < 0 && errnoName(errno()) !== "ENXIO") throw systemError("Look for holes", errno());
  return found;
}

function copyRange(copy: DataCopy, start: number, end: number): void {
  const offsets = new BigInt64Array([BigInt(start), BigInt(start)]);
  const [from, to] = [new Uint8Array(offsets.buffer, 0, 8), new Uint8Array(offsets.buffer, 8, 8)];
  let at = start;
  let done = 1;
  for (; at < end && done > 0; at = Number(offsets[0])) {
    copy.check();
    done = Number(libc.copy_file_range(copy.from, from, copy.to, to, Math.min(step, end - at), 0));
  }
  // 0 means that the file became shorter meanwhile.
  if (done < 0) copyByHand(copy, at, end);
}

/** Where the kernel cannot: between some file systems. */
function copyByHand(copy: DataCopy, start: number, end: number): void {
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  for (let at = start; at < end; ) {
    copy.check();
    const got = readSync(copy.from, buffer, 0, Math.min(buffer.length, end - at), at);
    if (got === 0) return;
    for (let put = 0; put < got; ) put += writeSync(copy.to, buffer, put, got - put, at + put);
    at += got;
  }
}
