import { blockSize, longestLine, newline, recordAt } from "./record.ts";
import type { Tail, TailWish } from "./segment.ts";

type ReadAt = (at: number, length: number) => Promise<Buffer>;

/**
 * Where the last lines before `wish.end` begin, by blocks from the end. Parts of a line are one line: what counts is the
 * records that end one, and the log's very last record even if it does not.
 */
export async function lastLines(wish: TailWish, readAt: ReadAt): Promise<Tail> {
  let { lines, seen } = wish;
  for await (const { ends, stop } of recordsBackwards(wish.end, readAt)) {
    if ((ends || !seen) && ++lines > wish.count) return { kind: "found", offset: stop };
    seen = true;
  }
  return { kind: "fewer", lines, seen };
}

/** Each with where it stops; a last line without a newline is still being written and is none. */
async function* recordsBackwards(end: number, readAt: ReadAt): AsyncGenerator<{ ends: boolean; stop: number }> {
  let carry: Buffer = Buffer.alloc(0);
  let whole = false;
  for (let at = end; at > 0; ) {
    const length = Math.min(blockSize, at);
    at -= length;
    const bytes = Buffer.concat([await readAt(at, length), carry]);
    let stop = bytes.length;
    for (let start = startBefore(bytes, { stop, whole }); start > 0; start = startBefore(bytes, { stop, whole })) {
      if (whole) yield* recordIn(bytes, { start, stop, at });
      whole = true;
      stop = start;
    }
    carry = stop > longestLine ? Buffer.alloc(0) : Buffer.from(bytes.subarray(0, stop));
  }
  if (whole && carry.length > 0) yield* recordIn(carry, { start: 0, stop: carry.length, at: 0 });
}

interface LinePlace {
  readonly start: number;
  readonly stop: number;
  /** Of the buffer in the file. */
  readonly at: number;
}

function* recordIn(bytes: Buffer, { start, stop, at }: LinePlace): Generator<{ ends: boolean; stop: number }> {
  const record = recordAt(bytes, { start, end: stop - 1 });
  if (record) yield { ends: !record.partial, stop: at + stop };
}

/** Where the line that stops at `stop` starts; 0 when that is not known from these bytes. What has no newline ends after the last one. */
function startBefore(bytes: Buffer, { stop, whole }: { stop: number; whole: boolean }): number {
  const from = whole ? stop - 2 : stop - 1;
  return from < 0 ? 0 : bytes.lastIndexOf(newline, from) + 1;
}
