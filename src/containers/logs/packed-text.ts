import { fstatSync, read } from "node:fs";
import { promisify } from "node:util";
import { inPieces } from "../../stream/mod.ts";
import { lastLines } from "./last-lines.ts";
import { decodeIndex, type Frame, indexLength, trailerSize } from "./packed-index.ts";
import { blockSize, recordsOf, timeOf } from "./record.ts";
import type { SegmentText, Tail, TailWish } from "./segment.ts";

const readAsync = promisify(read);

/** A segment in frames; one at a time is unpacked, by the thread pool. The descriptor is the caller's. */
export class PackedText implements SegmentText {
  readonly #fd: number;
  #frames: Promise<readonly Placed[]> | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async size(): Promise<number> {
    const last = (await this.#index()).at(-1);
    return last ? last.start + last.plain : 0;
  }

  async *pieces(from: number, to: number): AsyncGenerator<Uint8Array> {
    for (const frame of await this.#index()) {
      if (frame.start + frame.plain <= from) continue;
      if (frame.start >= to) return;
      const text = (await this.#text(frame)).subarray(Math.max(0, from - frame.start), to - frame.start);
      yield* inPieces(text, blockSize);
    }
  }

  async find(time: string): Promise<number> {
    const frames = await this.#index();
    let [low, high] = [0, frames.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((frames[middle]?.last ?? "") < time) low = middle + 1;
      else high = middle;
    }
    const frame = frames[low];
    return frame ? frame.start + firstSince(await this.#text(frame), time) : this.size();
  }

  async lastLines(wish: TailWish): Promise<Tail> {
    let { lines, seen } = wish;
    for (const frame of (await this.#index()).toReversed()) {
      if (seen && lines + frame.lines <= wish.count) {
        lines += frame.lines;
        continue;
      }
      const text = await this.#text(frame);
      const within = { count: wish.count, end: text.length, lines, seen };
      const tail = await lastLines(within, async (at, length) => text.subarray(at, at + length));
      if (tail.kind === "found") return { kind: "found", offset: frame.start + tail.offset };
      ({ lines, seen } = tail);
    }
    return { kind: "fewer", lines, seen };
  }

  #index(): Promise<readonly Placed[]> {
    this.#frames ??= this.#readIndex();
    return this.#frames;
  }

  async #readIndex(): Promise<readonly Placed[]> {
    const { size } = fstatSync(this.#fd);
    const trailer = await this.#bytes(size - trailerSize, trailerSize);
    const length = indexLength(trailer);
    return placed(decodeIndex(await this.#bytes(size - trailerSize - length, length)));
  }

  async #text({ at, length }: Frame): Promise<Buffer> {
    return Bun.zstdDecompress(await this.#bytes(at, length));
  }

  async #bytes(at: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (at >= 0 && filled < length) {
      const { bytesRead } = await readAsync(this.#fd, buffer, filled, length - filled, at + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }
}

interface Placed extends Frame {
  /** Where its text begins in the segment's. */
  readonly start: number;
}

function placed(frames: readonly Frame[]): Placed[] {
  let start = 0;
  return frames.map((frame) => {
    const here = { ...frame, start };
    start += frame.plain;
    return here;
  });
}

function firstSince(text: Buffer, time: string): number {
  for (const record of recordsOf(text)) if (timeOf(record) >= time) return record.start;
  return text.length;
}
