import { availableParallelism } from "node:os";
import { EngineError, messageOf } from "../errors/mod.ts";
import type { Job, JobOptions, Workers } from "./host.ts";
import type { FromWorker, ToWorker } from "./serve-jobs.ts";

export interface WorkersOptions {
  /** Jobs that run at once, besides those that wait; default: the number of cores, at least 2. */
  readonly size?: number;
  /** Of the threads; default 10, lower than the main thread's, so that it answers while jobs have all cores busy. */
  readonly niceness?: number;
  /** The module that calls `serveJobs`; default `src/worker.ts`. */
  readonly entry?: string;
}

/**
 * A pool of worker threads, started when first needed and kept for the next job. Idle threads do not keep the process
 * alive. A job that is aborted while it waits for a thread rejects at once; one that runs rejects when it has stopped, so
 * that the caller may delete what it was writing.
 */
export function createWorkers(options: WorkersOptions = {}): Workers {
  return new Pool({
    size: options.size ?? Math.max(2, availableParallelism()),
    niceness: options.niceness ?? 10,
    entry: options.entry ?? defaultEntry(),
  });
}

/** In a single-file executable entry points lie in a virtual directory and are named relative to their common root, src/. */
function defaultEntry(): string {
  return Bun.main.startsWith("/$bunfs/") ? "./worker.ts" : new URL("../worker.ts", import.meta.url).href;
}

/** Clients that stop in the middle of what they send hold a thread each. */
const mostWaiting = 16;

interface Task {
  readonly job: string;
  readonly input: unknown;
  readonly options: JobOptions;
  readonly resolve: (output: unknown) => void;
  readonly reject: (err: unknown) => void;
  /** [0] becomes 1 when the caller aborts. */
  readonly flag: Int32Array;
  readonly abort: () => void;
}

class Pool implements Workers {
  readonly #size: number;
  readonly #niceness: number;
  readonly #entry: string;
  readonly #queue: Task[] = [];
  readonly #idle: Thread[] = [];
  readonly #busy = new Map<Thread, Task>();
  #disposed = false;

  constructor({ size, niceness, entry }: Required<WorkersOptions>) {
    if (!Number.isInteger(size) || size < 1) throw new EngineError("internal", `Worker pool of size ${size}`);
    this.#size = size;
    this.#niceness = niceness;
    this.#entry = entry;
  }

  async run<I, O>(job: Job<I, O>, input: I, options: JobOptions = {}): Promise<O> {
    options.signal?.throwIfAborted();
    if (this.#disposed) throw closed(job.name);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const task: Task = { job: job.name, input, options, resolve, reject, flag, abort: () => this.#abort(task) };
    options.signal?.addEventListener("abort", task.abort, { once: true });
    this.#queue.push(task);
    this.#dispatch();
    return (await promise.finally(() => options.signal?.removeEventListener("abort", task.abort))) as O;
  }

  #abort(task: Task): void {
    Atomics.store(task.flag, 0, 1);
    const at = this.#queue.indexOf(task);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    task.reject(task.options.signal?.reason);
  }

  #dispatch(): void {
    for (let at = this.#startable(); at >= 0; at = this.#startable()) {
      const [task] = this.#queue.splice(at, 1);
      if (task) this.#start(task);
    }
  }

  /** Waiting jobs have threads beyond the pool's size: they need no core, but some memory. */
  #startable(): number {
    const waiting = [...this.#busy.values()].filter((task) => task.options.waits).length;
    const mayRun = this.#busy.size - waiting < this.#size;
    const mayWait = waiting < Math.max(mostWaiting, this.#size);
    return this.#queue.findIndex((task) => (task.options.waits ? mayWait : mayRun));
  }

  #start(task: Task): void {
    const thread = this.#idle.pop() ?? this.#spawn();
    this.#busy.set(thread, task);
    try {
      thread.start({ job: task.job, input: task.input, niceness: this.#niceness, flag: task.flag });
    } catch (err) {
      // What structured clone cannot carry.
      this.#release(thread);
      task.reject(new EngineError("internal", `Job ${task.job}: ${messageOf(err)}`, { cause: err }));
    }
  }

  #spawn(): Thread {
    const thread: Thread = new Thread(this.#entry, {
      message: (message) => this.#received(thread, message),
      died: (why) => this.#died(thread, why),
    });
    return thread;
  }

  #received(thread: Thread, message: FromWorker): void {
    const task = this.#busy.get(thread);
    if (!task) return;
    if (message.kind === "report") {
      task.options.onReport?.(message.message);
      return;
    }
    this.#release(thread);
    if (message.kind === "done") task.resolve(message.output);
    else task.reject(rebuild(message, task.options.signal));
    this.#dispatch();
  }

  #release(thread: Thread): void {
    this.#busy.delete(thread);
    thread.rest();
    if (this.#idle.length < this.#size) this.#idle.push(thread);
    else thread.end();
  }

  #died(thread: Thread, why: string): void {
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
    const task = this.#busy.get(thread);
    this.#busy.delete(thread);
    task?.reject(new EngineError("internal", `Worker thread died while it ran ${task.job}: ${why}`));
    if (!this.#disposed) this.#dispatch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    for (const task of [...this.#queue.splice(0), ...this.#busy.values()]) task.reject(closed(task.job));
    for (const thread of [...this.#idle.splice(0), ...this.#busy.keys()]) thread.end();
    this.#busy.clear();
  }
}

interface ThreadEvents {
  message(message: FromWorker): void;
  died(why: string): void;
}

/** lib.dom's type of `Worker` hides what Bun adds. */
type BunWorker = Worker & { ref(): void; unref(): void };

/** One worker thread. It keeps the process alive only while a job runs on it. */
class Thread {
  readonly #worker: BunWorker;
  #ended = false;

  constructor(entry: string, events: ThreadEvents) {
    this.#worker = new Worker(entry, { name: "berth job" }) as BunWorker;
    this.#worker.onmessage = (event: MessageEvent<FromWorker>) => events.message(event.data);
    this.#worker.onerror = (event: ErrorEvent) => {
      event.preventDefault();
      this.#die(events, event.message);
    };
    this.#worker.addEventListener("close", () => this.#die(events, "it exited"));
  }

  start(message: ToWorker): void {
    this.#worker.ref();
    this.#worker.postMessage(message);
  }

  rest(): void {
    this.#worker.unref();
  }

  end(): void {
    this.#ended = true;
    this.#worker.terminate();
  }

  #die(events: ThreadEvents, why: string): void {
    if (this.#ended) return;
    this.end();
    events.died(why);
  }
}

function rebuild(failure: Extract<FromWorker, { kind: "failed" }>, signal: AbortSignal | undefined): unknown {
  if (failure.error.kind === "canceled" && signal?.aborted) return signal.reason;
  const err = new EngineError(failure.error.kind, failure.error.message);
  if (failure.error.stack !== undefined) err.stack = failure.error.stack;
  return err;
}

function closed(job: string): EngineError {
  return new EngineError("unavailable", `Cannot run ${job}: the engine is stopping`);
}
