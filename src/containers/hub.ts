import { after } from "../async/mod.ts";
import type { TaskStreams } from "../runtime/mod.ts";

export type StreamName = "stdout" | "stderr";

export interface Chunk {
  readonly stream: StreamName;
  readonly bytes: Uint8Array;
}

/** Bytes that wait for one reader before the process has to wait for it. */
const backlog = 1024 * 1024;
/** How long a reader that takes nothing may hold up the others, in milliseconds. */
const patience = 10_000;

/**
 * The one connection to a task's streams, fanned out to any number of readers, and always drained: with no reader, what
 * comes is dropped (the log has it). A reader's backlog is bounded: the process waits for a slow reader, as it would for a
 * pipe, and a reader that takes nothing at all while others wait for it is cut off.
 * A hub may have readers before there is a process; `bind` gives it one, once; its end is the end of all readers.
 */
export class Hub {
  readonly #readers = new Set<Reader>();
  readonly #ready = Promise.withResolvers<TaskStreams | undefined>();
  readonly #drained = Promise.withResolvers<void>();
  #onEmpty: (() => void) | undefined;
  #bound = false;

  /** `onEmpty` is told when there is nothing left to fan out to and no process either. */
  constructor(onEmpty?: () => void) {
    this.#onEmpty = onEmpty;
  }

  get bound(): boolean {
    return this.#bound;
  }

  join(want: ReadonlySet<StreamName>): Reader {
    const reader = new Reader(want, () => this.#leave(reader));
    this.#readers.add(reader);
    return reader;
  }

  bind(streams: TaskStreams): void {
    this.#bound = true;
    this.#ready.resolve(streams);
    void this.#pump(streams);
  }

  /** There will be no (more) process: everybody gets what is queued, and then the end. */
  close(): void {
    this.#bound = true;
    this.#ready.resolve(undefined);
    this.#drained.resolve();
    for (const reader of this.#readers) reader.end();
    this.#onEmpty?.();
  }

  /** Waits for the process to be there; does nothing once it has ended. */
  async write(bytes: Uint8Array): Promise<void> {
    const streams = await this.#ready.promise;
    await streams?.write(bytes);
  }

  async closeStdin(): Promise<void> {
    const streams = await this.#ready.promise;
    streams?.closeStdin();
  }

  /** Resolves when every reader that is connected has been sent everything; waits at most `limit` milliseconds for the slow ones. */
  async flushed(limit: number): Promise<void> {
    const stop = new AbortController();
    const all = this.#drained.promise.then(() => Promise.all([...this.#readers].map((reader) => reader.finished)));
    await Promise.race([all, after(limit, stop.signal).catch(() => undefined)]);
    stop.abort();
  }

  async #pump(streams: TaskStreams): Promise<void> {
    try {
      for await (const chunk of streams.output) {
        const full = [...this.#readers].filter((reader) => reader.push(chunk));
        if (full.length > 0) await this.#waitFor(full);
      }
    } catch {
      // The connection to the monitor broke: for the readers that is the end, and the exit file tells the rest.
    } finally {
      streams[Symbol.dispose]();
      this.close();
    }
  }

  async #waitFor(full: readonly Reader[]): Promise<void> {
    const room = Promise.all(full.map((reader) => reader.room()));
    for (;;) {
      const stop = new AbortController();
      const progress = full.map((reader) => reader.taken);
      const late = after(patience, stop.signal).then(
        () => true,
        () => false,
      );
      const timedOut = await Promise.race([room.then(() => false), late]);
      stop.abort();
      if (!timedOut) return;
      if (this.#readers.size === 1) continue; // it keeps only the process waiting, as a pipe would; others may still come
      for (const [at, reader] of full.entries()) if (reader.taken === progress[at]) reader.leave();
    }
  }

  #leave(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size === 0 && !this.#bound) this.#onEmpty?.();
  }
}

/** One client's end of a hub. */
export class Reader {
  readonly #want: ReadonlySet<StreamName>;
  readonly #left: () => void;
  readonly #finished = Promise.withResolvers<void>();
  #queue: Chunk[] = [];
  #bytes = 0;
  #ended = false;
  #wake: (() => void) | undefined;
  #roomy: (() => void)[] = [];
  #taken = 0;

  constructor(want: ReadonlySet<StreamName>, left: () => void) {
    this.#want = want;
    this.#left = left;
  }

  /** Batches taken so far: whether the client makes any progress. */
  get taken(): number {
    return this.#taken;
  }

  /** Resolves when the client has been sent everything, or has left. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /** True when the backlog is full. */
  push(chunk: Chunk): boolean {
    if (this.#ended || !this.#want.has(chunk.stream)) return false;
    this.#queue.push(chunk);
    this.#bytes += chunk.bytes.length;
    this.#wake?.();
    return this.#bytes > backlog;
  }

  /** Resolves once the backlog is not full any more, or the reader has left. */
  room(): Promise<void> {
    if (this.#ended || this.#bytes <= backlog) return Promise.resolve();
    return new Promise((resolve) => this.#roomy.push(resolve));
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
    this.#makeRoom();
  }

  /** The client is gone or does not want more. */
  leave(): void {
    this.#queue = [];
    this.end();
    this.#finished.resolve();
    this.#left();
  }

  /** Everything that is queued, as soon as there is something; undefined at the end. */
  async take(): Promise<readonly Chunk[] | undefined> {
    while (this.#queue.length === 0) {
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    const batch = this.#queue;
    this.#queue = [];
    this.#bytes = 0;
    this.#taken++;
    this.#makeRoom();
    return batch;
  }

  #makeRoom(): void {
    const waiting = this.#roomy;
    this.#roomy = [];
    for (const resolve of waiting) resolve();
  }
}

/** The hubs of containers by id; a hub is there while it has a process or somebody who waits for one. */
export class Hubs {
  readonly #hubs = new Map<string, Hub>();

  get(id: string): Hub | undefined {
    return this.#hubs.get(id);
  }

  /** The hub that the next (or the running) process of the container is bound to. */
  open(id: string): Hub {
    const found = this.#hubs.get(id);
    if (found) return found;
    const hub: Hub = new Hub(() => {
      if (this.#hubs.get(id) === hub) this.#hubs.delete(id);
    });
    this.#hubs.set(id, hub);
    return hub;
  }
}
