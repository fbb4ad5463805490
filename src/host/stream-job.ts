import { Queue } from "../async/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type { Job, JobContext, Workers } from "./host.ts";

/** What a job's input holds when its bytes are streamed to the main thread. */
export interface Flow {
  readonly flow: {
    /** [0] counts the pieces that were taken. */
    readonly taken: SharedArrayBuffer;
    /** A ring of pieces. Messages that carry bytes leave garbage that nobody collects in time: only lengths are sent. */
    readonly pieces: SharedArrayBuffer;
  };
}

const pieceSize = 256 * 1024;
/** Pieces on their way at most. */
const window = 8;

/** The worker's end of {@link streamJob}: gathers bytes into pieces and waits for the reader. Blocks the thread. */
export class FlowWriter {
  readonly #taken: Int32Array;
  readonly #pieces: Uint8Array;
  readonly #context: JobContext;
  #filled = 0;
  #sent = 0;

  constructor({ flow }: Flow, context: JobContext) {
    this.#taken = new Int32Array(flow.taken);
    this.#pieces = new Uint8Array(flow.pieces);
    this.#context = context;
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#filled === 0) this.#waitForRoom();
      const part = bytes.subarray(at, at + pieceSize - this.#filled);
      this.#pieces.set(part, (this.#sent % window) * pieceSize + this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === pieceSize) this.flush();
    }
  }

  /** To be called at the end. */
  flush(): void {
    if (this.#filled === 0) return;
    this.#context.report(this.#filled);
    this.#sent++;
    this.#filled = 0;
  }

  #waitForRoom(): void {
    for (let taken = this.#count(); this.#sent - taken >= window; taken = this.#count()) {
      Atomics.wait(this.#taken, 0, taken, 100);
    }
  }

  #count(): number {
    this.#context.check();
    return Atomics.load(this.#taken, 0);
  }
}

export interface StreamJobOptions {
  readonly signal?: AbortSignal;
  /** The reader may be slow, such as a client: the job gets a thread beyond the pool's size. */
  readonly waits?: boolean;
}

/**
 * Runs a job that writes its bytes with {@link FlowWriter}, when they are first asked for. It is never more than 2 MiB
 * ahead of the reader, and stops when the reader does. `done` is what the job returned; it need not be looked at.
 */
export function streamJob<I, O>(
  workers: Workers,
  job: Job<I & Flow, O>,
  options: StreamJobOptions & { readonly input: I },
): { bytes: Bytes; done: Promise<O> } {
  const result = Promise.withResolvers<O>();
  result.promise.catch(() => undefined); // whoever reads the bytes sees the failure there
  return { bytes: flow({ workers, job, options, result }), done: result.promise };
}

interface Running<I, O> {
  readonly workers: Workers;
  readonly job: Job<I & Flow, O>;
  readonly options: StreamJobOptions & { readonly input: I };
  readonly result: PromiseWithResolvers<O>;
}

async function* flow<I, O>({ workers, job, options, result }: Running<I, O>): AsyncGenerator<Uint8Array> {
  const shared: Flow["flow"] = {
    taken: new SharedArrayBuffer(4),
    pieces: new SharedArrayBuffer(window * pieceSize),
  };
  const left = new AbortController();
  const lengths = new Queue<number>();
  const running = workers.run(job, { ...options.input, flow: shared } as I & Flow, {
    signal: options.signal ? AbortSignal.any([options.signal, left.signal]) : left.signal,
    onReport: (length) => lengths.push(length as number),
    ...(options.waits && { waits: true }),
  });
  running.then(
    () => lengths.close(),
    (err) => lengths.close(err),
  );
  running.then(result.resolve, result.reject);
  try {
    yield* piecesOf(shared, lengths);
  } finally {
    left.abort();
    await running.catch(() => undefined);
  }
}

async function* piecesOf(shared: Flow["flow"], lengths: Queue<number>): AsyncGenerator<Uint8Array> {
  const taken = new Int32Array(shared.taken);
  const pieces = new Uint8Array(shared.pieces);
  let at = 0;
  for await (const length of lengths) {
    const piece = Buffer.from(pieces.subarray(at, at + length));
    at = (at + pieceSize) % pieces.length;
    Atomics.add(taken, 0, 1);
    Atomics.notify(taken, 0);
    yield piece;
  }
}
