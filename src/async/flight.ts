import { raceAbort } from "./wait.ts";

interface Shared<T> {
  readonly result: Promise<T>;
  readonly abort: AbortController;
  waiters: number;
}

/** Shares one running computation between all who ask for the same key while it runs. */
export class Flight<T> {
  readonly #running = new Map<string, Shared<T>>();

  /** Joins or starts the computation of `key`. It is aborted only when every one who waits for it has gone. */
  async share(key: string, start: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const shared = this.#running.get(key) ?? this.#start(key, start);
    shared.waiters++;
    try {
      return await raceAbort(shared.result, signal);
    } finally {
      if (--shared.waiters === 0) shared.abort.abort();
    }
  }

  #start(key: string, start: (signal: AbortSignal) => Promise<T>): Shared<T> {
    const abort = new AbortController();
    const result = start(abort.signal).finally(() => {
      if (this.#running.get(key) === shared) this.#running.delete(key);
    });
    result.catch(() => undefined); // every waiter may have left; those who stay see the rejection themselves
    const shared: Shared<T> = { result, abort, waiters: 0 };
    this.#running.set(key, shared);
    abort.signal.addEventListener("abort", () => {
      if (this.#running.get(key) === shared) this.#running.delete(key);
    });
    return shared;
  }
}
