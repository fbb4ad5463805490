/**
 * An unbounded queue between one or more producers and one consumer.
 * Ends for the consumer when it is closed and drained, or when the consumer's signal aborts.
 */
export class Queue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #closed = false;
  #failure: unknown;
  #wake: (() => void) | undefined;

  /** Items waiting to be consumed. */
  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    if (this.#closed) return;
    this.#items.push(item);
    this.#wake?.();
  }

  /** Ends the queue; with a failure, the consumer sees it thrown after the last item. */
  close(failure?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#failure = failure;
    this.#wake?.();
  }

  /** What has been pushed since the last time, at once. Otherwise like the iterator, whose place it takes. */
  batches(): AsyncGenerator<T[]> {
    return this.#consume(() => this.#items.splice(0));
  }

  [Symbol.asyncIterator](): AsyncGenerator<T> {
    return this.#consume(() => this.#items.shift() as T);
  }

  async *#consume<R>(take: () => R): AsyncGenerator<R> {
    try {
      for (;;) {
        if (this.#items.length > 0) yield take();
        else if (this.#closed) break;
        else await this.#pushed();
      }
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.#closed = true;
      this.#items.length = 0;
    }
  }

  async #pushed(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}
