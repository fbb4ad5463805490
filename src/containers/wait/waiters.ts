import { EngineError } from "../../errors/mod.ts";

/** What ends a wait: a process has ended and its output is with its readers, or the container is gone. */
export type End =
  | {
      readonly kind: "exit";
      readonly code: number;
      /** Its restart policy starts it again: for `docker wait` that is no end. */
      readonly restarts?: boolean;
    }
  | { readonly kind: "removed"; readonly code: number };

interface Waiter {
  readonly removedOnly: boolean;
  readonly resolve: (end: End) => void;
}

/** Those who wait for a container to end. Told in memory only: whoever waits over a daemon's restart has lost its connection. */
export class Waiters {
  readonly #waiting = new Map<string, Set<Waiter>>();

  /** The next exit or the removal, whichever comes first; only the removal with `removedOnly`. Rejects when the signal aborts. */
  next(id: string, options: { readonly removedOnly?: boolean; readonly signal?: AbortSignal } = {}): Promise<End> {
    const { promise, resolve, reject } = Promise.withResolvers<End>();
    const waiter = { removedOnly: options.removedOnly ?? false, resolve };
    const set = this.#waiting.get(id) ?? new Set<Waiter>();
    this.#waiting.set(id, set.add(waiter));
    const abort = () => reject(new EngineError("canceled", "The wait was canceled", { cause: options.signal?.reason }));
    if (options.signal?.aborted) abort();
    options.signal?.addEventListener("abort", abort, { once: true });
    return promise.finally(() => {
      options.signal?.removeEventListener("abort", abort);
      set.delete(waiter);
      if (set.size === 0 && this.#waiting.get(id) === set) this.#waiting.delete(id);
    });
  }

  tell(id: string, end: End): void {
    for (const waiter of this.#waiting.get(id) ?? []) {
      if (end.kind === "removed" || !waiter.removedOnly) waiter.resolve(end);
    }
  }
}
