import { Bell, raceAbort } from "../../async/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import type { control } from "../../proto/mod.ts";

/** What a reader may be behind. */
const most = 128;

/** What became of builds just now. Every reader has a place and reads on from there; nobody waits for one. */
export class HistoryEvents {
  readonly #events: control.BuildHistoryEvent[] = [];
  #forgotten = 0;
  readonly #changed = new Bell();

  /** The place after the last event. */
  get end(): number {
    return this.#forgotten + this.#events.length;
  }

  add(event: control.BuildHistoryEvent): void {
    this.#events.push(event);
    if (this.#events.length > most) {
      this.#events.shift();
      this.#forgotten++;
    }
    this.#changed.ring();
  }

  /** Until the signal aborts. Throws "unavailable" for a reader that is too far behind. */
  async *follow(from: number, signal: AbortSignal): AsyncGenerator<control.BuildHistoryEvent> {
    for (let at = from; !signal.aborted; ) {
      if (at < this.#forgotten)
        throw new EngineError("unavailable", "too slow for the builds that there are: ask again");
      const event = this.#events[at - this.#forgotten];
      if (event) {
        at++;
        yield event;
      } else await raceAbort(this.#changed.rung, signal).catch(() => undefined);
    }
  }
}
