import { Queue } from "../async/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type { Job, JobContext, Workers } from "./host.ts";

/** What a job's input holds when its bytes are streamed to the main thread: [0] counts the pieces that were taken. */
export interface Flow {
  readonly flow: SharedArrayBuffer;
}

const pieceSize = 256 * 1024;
/** Pieces on their way at most. */
const window = 8;

/** The worker's end of {@link streamJob}: gathers bytes into pieces and waits for the reader. Blocks the thread. */
export class FlowWriter {
  readonly #taken: Int32Array;
  readonly #context: JobContext;
  #piece = Buffer.allocUnsafeSlow(pieceSize);
  #filled = 0;
  #sent = 0;

  constructor({ flow }: Flow, context: JobContext) {
    this.#taken = new Int32Array(flow);
    this.#context = context;
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + pieceSize - this.#filled);
      this.#piece.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === pieceSize) this.flush();
    }
  }

  /** To be called at the end. */
  flush(): void {
    if (this.#filled === 0) return;
    for (let taken = this.#count(); this.#sent - taken >= window; taken = this.#count()) {
      Atomics.wait(this.#taken, 0, taken, 100);
    }
    // A copy crosses, of all of a view's buffer, hence the exact slice of the last piece.
    this.#context.report(this.#filled === pieceSize ? this.#piece : this.#piece.slice(0, this.#filled));
    this.#sent++;
    this.#filled = 0;
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
  const taken = new Int32Array(new SharedArrayBuffer(4));
  const left = new AbortController();
  const queue = new Queue<Uint8Array>();
  const running = workers.run(job, { ...options.input, flow: taken.buffer } as I & Flow, {
    signal: options.signal ? AbortSignal.any([options.signal, left.signal]) : left.signal,
    onReport: (piece) => queue.push(piece as Uint8Array),
    ...(options.waits && { waits: true }),
  });
  running.then(
    () => queue.close(),
    (err) => queue.close(err),
  );
  running.then(result.resolve, result.reject);
  try {
    for await (const piece of queue) {
      yield piece;
      Atomics.add(taken, 0, 1);
      Atomics.notify(taken, 0);
    }
  } finally {
    left.abort();
    await running.catch(() => undefined);
  }
}
