import { dirname } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import type { Bytes } from "../../stream/mod.ts";
import type { LogOptions } from "../containers.ts";
import type { LogChanges } from "./changes.ts";
import type { LogFormat } from "./format.ts";
import { segmentsOf } from "./names.ts";
import type { LogPins, Pin } from "./pins.ts";
import { LogParser } from "./record.ts";
import { type OpenSegment, openSegment } from "./segment.ts";
import { timeText } from "./times.ts";

export interface ReadRequest {
  /** The current segment's path. */
  readonly log: string;
  readonly options: LogOptions;
  readonly format: LogFormat;
  /** Followed until it aborts: conmon has written everything by then. Undefined: what is there now. */
  readonly end?: AbortSignal;
  readonly changes: LogChanges;
  readonly pins: LogPins;
  /** Called when segments may be free to go. */
  readonly released: () => void;
}

/** A place in the log: a segment and an offset in its plain text. */
interface Place {
  readonly seq: number;
  readonly offset: number;
}

/** What the request asks for, rendered; the segments that are still to be read stay until they are. */
export async function* readLog(request: ReadRequest): Bytes {
  using pin = request.pins.pin(request.log, request.released);
  using listener = request.end && request.changes.listen(dirname(request.log));
  const wake = () => listener?.tell();
  request.end?.addEventListener("abort", wake, { once: true });
  try {
    const limit = request.end ? undefined : await lastPlace(request.log);
    if (!request.end && !limit) return;
    const start = await firstPlace(request, limit);
    const next = () => listener?.next() ?? Promise.resolve();
    yield* run(request, { pin, limit, start, next });
  } finally {
    request.end?.removeEventListener("abort", wake);
  }
}

interface Run {
  readonly pin: Pin;
  readonly limit: Place | undefined;
  readonly start: Place;
  readonly next: () => Promise<void>;
}

async function* run(request: ReadRequest, { pin, limit, start, next }: Run): Bytes {
  const { log, format, end, options } = request;
  const parser = new LogParser();
  let place = start;
  for (;;) {
    const over = end?.aborted === true; // asked before: what was written before the end is read after it
    using segment = openSegment(log, place.seq);
    if (segment) {
      refuseGap(place, segment);
      parser.reset();
      pin.moved(segment.seq);
      yield* readSegment(request, {
        segment,
        parser,
        pin,
        limit,
        next,
        from: segment.seq === place.seq ? place.offset : 0,
      });
      if (format.done || options.signal.aborted || (limit && segment.seq >= limit.seq)) return;
      place = { seq: segment.seq + 1, offset: 0 };
    } else {
      if (!end || over) return;
      await next();
      if (options.signal.aborted) return;
    }
  }
}

/** Numbers have no gaps but the one before the first: what is missing was removed. */
function refuseGap(place: Place, { seq }: OpenSegment): void {
  if (place.seq === 0 || seq === place.seq) return;
  throw new EngineError("internal", "The log was rotated away before its reader, who took nothing, came to it");
}

interface Reading {
  readonly segment: OpenSegment;
  readonly parser: LogParser;
  readonly pin: Pin;
  readonly limit: Place | undefined;
  readonly from: number;
  readonly next: () => Promise<void>;
}

/** Until the limit, or until a later segment is there and this one is at its end, or until the end of following. */
async function* readSegment(request: ReadRequest, reading: Reading): Bytes {
  const { segment, parser, pin, limit, next } = reading;
  const { end, format, options } = request;
  for (let at = reading.from; ; ) {
    const last = !end || segment.sealed() || end.aborted; // asked before reading, for the same reason
    const size = await segment.text.size();
    const to = limit?.seq === segment.seq ? Math.min(size, limit.offset) : size;
    for await (const piece of segment.text.pieces(at, to)) {
      at += piece.length;
      const bytes = format.block(piece, parser);
      if (bytes.length > 0) yield bytes;
      pin.moved(segment.seq);
      if (format.done || options.signal.aborted) return;
    }
    if (last) return;
    pin.waits();
    await next();
    pin.moved(segment.seq);
    if (options.signal.aborted) return;
  }
}

/** Where the log ends now; undefined when there is none. */
async function lastPlace(log: string): Promise<Place | undefined> {
  const newest = segmentsOf(log).at(-1);
  if (!newest) return undefined;
  using segment = openSegment(log, newest.seq);
  return segment && { seq: segment.seq, offset: await segment.text.size() };
}

/** The later one of where the last lines begin and where the time does. */
async function firstPlace({ log, options }: ReadRequest, limit: Place | undefined): Promise<Place> {
  const tail = options.tail === undefined ? undefined : await tailPlace(log, { count: options.tail, limit });
  const since = options.since > 0n ? await timePlace(log, timeText(options.since)) : undefined;
  const places = [tail, since].filter((place) => place !== undefined);
  return places.sort((one, other) => other.seq - one.seq || other.offset - one.offset)[0] ?? { seq: 0, offset: 0 };
}

async function tailPlace(log: string, { count, limit }: { count: number; limit: Place | undefined }): Promise<Place> {
  const end = limit ?? (await lastPlace(log)) ?? { seq: 0, offset: 0 };
  if (count === 0) return end;
  let [lines, seen] = [0, false];
  for (const { seq } of segmentsOf(log).toReversed()) {
    if (seq > end.seq) continue;
    using segment = openSegment(log, seq);
    if (segment?.seq !== seq) continue;
    const stop = seq === end.seq ? end.offset : await segment.text.size();
    const tail = await segment.text.lastLines({ count, end: stop, lines, seen });
    if (tail.kind === "found") return { seq, offset: tail.offset };
    ({ lines, seen } = tail);
  }
  return { seq: 0, offset: 0 };
}

/** Looked for from the newest segment on: what is asked for is mostly recent. */
async function timePlace(log: string, time: string): Promise<Place> {
  let found: Place = { seq: 0, offset: 0 };
  for (const { seq } of segmentsOf(log).toReversed()) {
    using segment = openSegment(log, seq);
    if (segment?.seq !== seq) continue;
    const offset = await segment.text.find(time);
    if (offset === (await segment.text.size()) && found.seq > 0) return found;
    found = { seq, offset };
    if (offset > 0) return found;
  }
  return found;
}
