import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import { type Segment, segmentsOf } from "./names.ts";
import { PackedText } from "./packed-text.ts";
import { PlainText } from "./plain-text.ts";

/** A segment's text, packed or not: offsets are those of the plain bytes. */
export interface SegmentText {
  /** Bytes that are there now. */
  size(): Promise<number>;
  /** From one offset to another, in pieces that are valid until the next is asked for. */
  pieces(from: number, to: number): AsyncGenerator<Uint8Array>;
  /** Where the first record that is not before `time` begins, found by bisection: records are in time's order, unless the clock was set back. */
  find(time: string): Promise<number>;
  /** Where the lines that are wished for begin, looked for from the end. */
  lastLines(wish: TailWish): Promise<Tail>;
}

/** Looking for the last `count` lines before `end`; `lines` are counted already in later segments, in which a record was `seen`. */
export interface TailWish {
  readonly count: number;
  readonly end: number;
  readonly lines: number;
  readonly seen: boolean;
}

export type Tail =
  | { readonly kind: "found"; readonly offset: number }
  | { readonly kind: "fewer"; readonly lines: number; readonly seen: boolean };

/** An open segment stays readable whatever becomes of its name. */
export interface OpenSegment extends Disposable {
  readonly seq: number;
  readonly text: SegmentText;
  /** Nothing more is written to it once this was true: a later one is there. */
  sealed(): boolean;
}

/** Names change between listing and opening only by a packing: then the other name is there. */
const attempts = 5;

/** The first segment from `seq` on; undefined when there is none. Throws "internal" when it cannot be read. */
export function openSegment(log: string, seq: number): OpenSegment | undefined {
  for (let attempt = 1; ; attempt++) {
    const segment = segmentsOf(log).find((one) => one.seq >= seq);
    if (!segment) return undefined;
    try {
      return opened(log, segment);
    } catch (err) {
      if (attempt < attempts) continue;
      throw new EngineError("internal", `The log ${segment.path} cannot be read`, { cause: err });
    }
  }
}

function opened(log: string, segment: Segment): OpenSegment {
  const fd = openSync(segment.path, "r");
  const { seq, kind } = segment;
  const text = kind === "packed" ? new PackedText(fd) : new PlainText(fd);
  const { ino } = fstatSync(fd);
  return {
    seq,
    text,
    sealed: () => kind === "packed" || hasSuccessor(log, { seq, ino }),
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** conmon closes the old file before the new one has its name. */
function hasSuccessor(log: string, { seq, ino }: { seq: number; ino: number }): boolean {
  const now = statSync(log, { throwIfNoEntry: false });
  if (now) return now.ino !== ino;
  return segmentsOf(log).some((one) => one.seq > seq);
}
