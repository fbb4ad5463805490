import { fstat, read } from "node:fs";
import { promisify } from "node:util";
import { lastLines } from "./last-lines.ts";
import { blockSize, newline, recordsOf, timeOf } from "./record.ts";
import type { SegmentText, Tail, TailWish } from "./segment.ts";

const readAsync = promisify(read);
const fstatAsync = promisify(fstat);
/** Holds a whole record of conmon's (8 KiB and its head) wherever it begins. */
const windowSize = 2 * blockSize;

/** A segment as conmon writes it. The descriptor is the caller's. */
export class PlainText implements SegmentText {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async size(): Promise<number> {
    return (await fstatAsync(this.#fd)).size;
  }

  async *pieces(from: number, to: number): AsyncGenerator<Uint8Array> {
    const block = Buffer.allocUnsafeSlow(Math.max(1, Math.min(blockSize, to - from)));
    for (let at = from; at < to; ) {
      const bytesRead = await this.#fill(block.subarray(0, to - at), at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield block.subarray(0, bytesRead);
    }
  }

  async find(time: string): Promise<number> {
    const size = await this.size();
    let [low, high] = [0, size];
    while (high - low > windowSize) {
      const middle = low + Math.floor((high - low) / 2);
      const record = await this.#recordAfter(middle, high);
      if (record && record.time < time) low = record.end;
      else high = middle;
    }
    return this.#scan(time, { from: low, size });
  }

  lastLines(wish: TailWish): Promise<Tail> {
    return lastLines(wish, (at, length) => this.#bytes(at, length));
  }

  /** The first record that begins behind `at`, which may be in the middle of one. */
  async #recordAfter(at: number, limit: number): Promise<{ time: string; end: number } | undefined> {
    const bytes = await this.#bytes(at, Math.min(windowSize, limit - at));
    for (const record of recordsOf(bytes, bytes.indexOf(newline) + 1)) {
      return { time: timeOf(record), end: at + record.textEnd + 1 };
    }
    return undefined;
  }

  async #scan(time: string, { from, size }: { from: number; size: number }): Promise<number> {
    for (let at = from; at < size; ) {
      const bytes = await this.#bytes(at, Math.min(windowSize, size - at));
      for (const record of recordsOf(bytes)) if (timeOf(record) >= time) return at + record.start;
      const whole = bytes.lastIndexOf(newline) + 1;
      if (at + bytes.length >= size) return at + whole; // what has no end yet may still be one
      at += whole || bytes.length;
    }
    return size;
  }

  async #bytes(at: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    return buffer.subarray(0, await this.#fill(buffer, at));
  }

  async #fill(buffer: Buffer, at: number): Promise<number> {
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await readAsync(this.#fd, buffer, filled, buffer.length - filled, at + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }
}
