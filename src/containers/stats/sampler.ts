import type { CpuSample, Sample } from "./sample.ts";

/** Milliseconds between the samples of whoever watches. */
const period = 1000;
/** The kernel charges a running process every few milliseconds: a percentage over less than this says little. */
export const shortestWindow = 200;
/** One from longer ago says nothing about now. */
export const longestWindow = 60_000;
/** Containers that are read before others on this thread get their turn. */
const atOnce = 8;

type Read = (id: string) => Sample | undefined;

/** Somebody who watches a container, until disposed. */
export interface Watch extends Disposable {
  /** The container's sample of the next tick; undefined where it has no process, or the signal has aborted. */
  next(signal: AbortSignal): Promise<Sample | undefined>;
}

/**
 * One clock for everybody who watches: a container is read once a second, however many watch it, and nothing is read
 * while nobody does. The last samples are kept for a minute, so that who asks once gets a comparison at once.
 */
export class Sampler {
  readonly #read: Read;
  readonly #watched = new Map<string, Set<(sample: Sample | undefined) => void>>();
  /** Newest last, in the order of the last change. */
  readonly #kept = new Map<string, readonly CpuSample[]>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(read: Read) {
    this.#read = read;
  }

  /** How many containers are watched. */
  get watched(): number {
    return this.#watched.size;
  }

  /** Reads the container now. */
  take(id: string): Sample | undefined {
    const sample = this.#read(id);
    if (sample) this.#keep(id, sample);
    return sample;
  }

  /** The newest sample that is old enough to be compared with, and of the same process. */
  kept(id: string, started: string): CpuSample | undefined {
    const now = performance.now();
    return this.#kept.get(id)?.findLast((sample) => {
      const age = now - sample.ticks;
      return sample.started === started && age >= shortestWindow && age <= longestWindow;
    });
  }

  watch(id: string): Watch {
    let wake: (sample?: Sample) => void = () => undefined;
    const tell = (sample: Sample | undefined) => wake(sample);
    const tellers = this.#watched.get(id) ?? new Set();
    this.#watched.set(id, tellers.add(tell));
    this.#timer ??= setTimeout(() => void this.#tick(), period);
    return {
      next: (signal) => {
        const { promise, resolve } = Promise.withResolvers<Sample | undefined>();
        const leave = () => resolve(undefined);
        wake = resolve;
        signal.addEventListener("abort", leave, { once: true });
        if (signal.aborted) leave();
        return promise.finally(() => signal.removeEventListener("abort", leave));
      },
      [Symbol.dispose]: () => {
        tellers.delete(tell);
        if (tellers.size === 0) this.#watched.delete(id);
      },
    };
  }

  async #tick(): Promise<void> {
    const due = performance.now() + period;
    let count = 0;
    for (const [id, tellers] of [...this.#watched]) {
      this.#tell(id, tellers);
      if (++count % atOnce === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const again = () => void this.#tick();
    this.#timer = this.#watched.size > 0 ? setTimeout(again, Math.max(0, due - performance.now())) : undefined;
  }

  #tell(id: string, tellers: ReadonlySet<(sample: Sample | undefined) => void>): void {
    let sample: Sample | undefined;
    try {
      sample = this.take(id);
    } catch {
      return; // no file can be opened now, say: the next tick tries again
    }
    for (const tell of [...tellers]) tell(sample);
  }

  #keep(id: string, { at, ticks, started, cpu, processors }: Sample): void {
    const before = this.#kept.get(id) ?? [];
    this.#kept.delete(id);
    // Of those that are still too new one is enough: it will be old enough first.
    const recent = before.filter((one) => ticks - one.ticks < shortestWindow).slice(0, 1);
    const old = before.findLast((one) => ticks - one.ticks >= shortestWindow);
    this.#kept.set(id, [...(old ? [old] : []), ...recent, { at, ticks, started, cpu, processors }]);
    for (const [other, samples] of this.#kept) {
      if (ticks - (samples.at(-1)?.ticks ?? 0) <= longestWindow) break;
      this.#kept.delete(other);
    }
  }
}
