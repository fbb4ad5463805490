import type { ProgressMessage, ProgressSink } from "../wire/mod.ts";

/** One operation's progress for all who wait for it; who joins late is told the last word about every part first. */
export class Broadcast {
  readonly #sinks = new Set<ProgressSink>();
  readonly #last = new Map<string, ProgressMessage>();
  #anonymous = 0;

  readonly send: ProgressSink = (message) => {
    this.#last.set(message.id ?? `#${this.#anonymous++}`, message);
    for (const sink of this.#sinks) sink(message);
  };

  join(sink: ProgressSink): Disposable {
    for (const message of this.#last.values()) sink(message);
    this.#sinks.add(sink);
    return { [Symbol.dispose]: () => this.#sinks.delete(sink) };
  }
}
