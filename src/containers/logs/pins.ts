/** A reader that has taken nothing for so long, in milliseconds, does not keep old segments any more. */
const patience = 60_000;

/** Who reads where: a segment that a reader has still to come to is not removed while the reader gets on. */
export class LogPins {
  readonly #readers = new Map<string, Set<Pin>>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** To be disposed of by whoever reads. */
  pin(log: string, released: () => void): Pin {
    const pins = this.#readers.get(log) ?? new Set<Pin>();
    this.#readers.set(log, pins);
    const pin: Pin = new Pin(this.#now, () => {
      pins.delete(pin);
      if (pins.size === 0) this.#readers.delete(log);
      released();
    });
    pins.add(pin);
    return pin;
  }

  /** True while a reader that gets on is before this segment. One that is in it has it open. */
  needs(log: string, seq: number): boolean {
    const since = this.#now() - patience;
    return [...(this.#readers.get(log) ?? [])].some((pin) => pin.seq < seq && pin.at > since);
  }
}

export class Pin implements Disposable {
  readonly #now: () => number;
  readonly #release: () => void;
  /** The segment that is open; all later ones are needed. */
  seq = 0;
  /** When it last got on. */
  at: number;

  constructor(now: () => number, release: () => void) {
    this.#now = now;
    this.#release = release;
    this.at = now();
  }

  moved(seq: number): void {
    this.seq = seq;
    this.at = this.#now();
  }

  /** The reader has taken all there is and waits for the log, however long. */
  waits(): void {
    this.at = Number.POSITIVE_INFINITY;
  }

  [Symbol.dispose](): void {
    this.#release();
  }
}
