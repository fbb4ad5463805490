import { raceAbort } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { type Bytes, inPieces } from "../stream/mod.ts";
import type { Job, JobContext, Workers } from "./host.ts";

/** What a job's input holds when the main thread streams bytes to it. */
export interface Feed {
  readonly feed: {
    /** [0] counts the pieces put, [1] is 1 at their end and 2 after a failure, then a length for each slot. */
    readonly state: SharedArrayBuffer;
    readonly data: SharedArrayBuffer;
  };
}

const slots = 8;
const slotSize = 256 * 1024;
const lengths = 2;

/**
 * Runs a job that reads `bytes` with {@link fed}: the opposite of `streamJob`. The job starts with the first of them, so that
 * senders who say nothing take no threads. They are read no further ahead than 2 MiB, and not at all once the job has ended.
 * Rejects with the failure of the bytes, or of the job.
 */
export async function feedJob<I, O>(
  workers: Workers,
  job: Job<I & Feed, O>,
  options: { readonly input: I; readonly bytes: Bytes; readonly signal?: AbortSignal },
): Promise<O> {
  const { signal } = options;
  const source = options.bytes[Symbol.asyncIterator]();
  const first = await begun(source, signal);
  const ring = new Ring();
  const left = new AbortController();
  const running = workers.run(job, { ...options.input, feed: ring.shared } as I & Feed, {
    signal: signal ? AbortSignal.any([signal, left.signal]) : left.signal,
    onReport: () => ring.tookOne(),
    waits: true,
  });
  const ended = new AbortController();
  running.then(
    () => ended.abort(),
    () => ended.abort(),
  );
  try {
    await fill(ring, { first, source, ended: ended.signal });
  } catch (err) {
    left.abort();
    await running.catch(() => undefined);
    throw err;
  }
  return await running;
}

type Source = ReturnType<Bytes[typeof Symbol.asyncIterator]>;
type Turn = Awaited<ReturnType<Source["next"]>>;

async function begun(source: Source, signal: AbortSignal | undefined): Promise<Turn> {
  try {
    return await raceAbort(source.next(), signal);
  } catch (err) {
    leave(source);
    throw err;
  }
}

/** Not awaited: a source that waits for its sender gets to its end only when that has something to say. */
function leave(source: Source): void {
  source.return?.()?.catch(() => undefined);
}

interface Filling {
  readonly first: Turn;
  readonly source: Source;
  readonly ended: AbortSignal;
}

async function fill(ring: Ring, { first, source, ended }: Filling): Promise<void> {
  try {
    for (let turn = first; !turn.done; turn = await raceAbort(source.next(), ended)) {
      const { value } = turn;
      for (const piece of inPieces(value, slotSize)) {
        await raceAbort(ring.room(), ended);
        ring.put(piece);
      }
    }
    ring.end(1);
  } catch (err) {
    ring.end(2);
    leave(source);
    if (!ended.aborted) throw err;
  }
}

class Ring {
  readonly shared: Feed["feed"] = {
    state: new SharedArrayBuffer(4 * (lengths + slots)),
    data: new SharedArrayBuffer(slots * slotSize),
  };
  readonly #state = new Int32Array(this.shared.state);
  readonly #data = new Uint8Array(this.shared.data);
  #put = 0;
  #taken = 0;
  #wake: (() => void) | undefined;

  tookOne(): void {
    this.#taken++;
    this.#wake?.();
  }

  async room(): Promise<void> {
    while (this.#put - this.#taken >= slots) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  put(piece: Uint8Array): void {
    const slot = this.#put++ % slots;
    this.#data.set(piece, slot * slotSize);
    Atomics.store(this.#state, lengths + slot, piece.length);
    Atomics.store(this.#state, 0, this.#put);
    Atomics.notify(this.#state, 0);
  }

  end(how: 1 | 2): void {
    Atomics.store(this.#state, 1, how);
    Atomics.notify(this.#state, 0);
  }
}

/** The worker's end of {@link feedJob}: each piece is good until the next one is asked for. Blocks the thread. */
export function* fed({ feed }: Feed, context: JobContext): Generator<Uint8Array> {
  const state = new Int32Array(feed.state);
  const data = new Uint8Array(feed.data);
  const piece = new Uint8Array(slotSize);
  for (let count = 0; ; count++) {
    if (!wait(state, { count, context })) return;
    const slot = count % slots;
    const length = Atomics.load(state, lengths + slot);
    piece.set(data.subarray(slot * slotSize, slot * slotSize + length));
    context.report(undefined);
    yield piece.subarray(0, length);
  }
}

/** False at the end. */
function wait(state: Int32Array, { count, context }: { count: number; context: JobContext }): boolean {
  for (;;) {
    context.check();
    // Before the count: what was put before the end is counted by then.
    const status = Atomics.load(state, 1);
    if (Atomics.load(state, 0) !== count) return true;
    if (status === 1) return false;
    if (status === 2) throw new EngineError("canceled", "The sender has gone");
    Atomics.wait(state, 0, count, 100);
  }
}
