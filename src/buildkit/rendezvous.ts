import { after } from "../async/mod.ts";

/** Milliseconds that one request waits for another: clients open them side by side, in any order. */
const patience = 5000;

/** Things by an id that their clients chose, where who asks for one may come before it. */
export class Rendezvous<T> {
  readonly #present = new Map<string, T>();
  readonly #waiting = new Map<string, Set<(thing: T) => void>>();

  /** Throws what `taken` makes when the id is in use. Disposing takes it away. */
  add(id: string, thing: T, taken: () => Error): Disposable {
    if (this.#present.has(id)) throw taken();
    this.#present.set(id, thing);
    for (const arrived of this.#waiting.get(id) ?? []) arrived(thing);
    return { [Symbol.dispose]: () => void this.#present.delete(id) };
  }

  peek(id: string): T | undefined {
    return this.#present.get(id);
  }

  /** Throws what `missing` makes when nothing of this id comes in time. */
  async get(id: string, { signal, missing }: { signal: AbortSignal; missing: () => Error }): Promise<T> {
    const present = this.#present.get(id);
    if (present !== undefined) return present;
    const { promise, resolve } = Promise.withResolvers<T>();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(resolve));
    const enough = new AbortController();
    const late = after(patience, AbortSignal.any([signal, enough.signal])).then(() => {
      throw missing();
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      enough.abort();
      late.catch(() => undefined);
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(id);
    }
  }
}
