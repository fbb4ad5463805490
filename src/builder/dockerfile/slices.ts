import { setImmediate } from "node:timers/promises";

/** Work that may be left alone for a while at each `yield`. */
export type Steps<T> = Generator<undefined, T>;

/** How long the thread is held in one piece, in milliseconds; what a Dockerfile usually takes is less, and is done at once. */
const longest = 10;

export function inOne<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Others have their turn in between. Throws the signal's reason once it is aborted. */
export async function inSlices<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
  for (let until = performance.now() + longest; ; ) {
    const { done, value } = steps.next();
    if (done) return value;
    if (performance.now() < until) continue;
    await setImmediate();
    signal?.throwIfAborted();
    until = performance.now() + longest;
  }
}
