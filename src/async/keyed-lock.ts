import { raceAbort } from "./wait.ts";

/** One mutex per key, first come first served. A key that nobody holds takes no memory. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `body` while holding `key`. An abort while waiting leaves the queue; once `body` runs, it is up to `body`. */
  async run<T>(key: string, body: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const { promise: done, resolve: release } = Promise.withResolvers<void>();
    const tail = before.then(() => done);
    this.#tails.set(key, tail);
    try {
      await raceAbort(before, signal);
      return await body();
    } finally {
      release();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
