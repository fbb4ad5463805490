import { EngineError } from "../../errors/mod.ts";
import type { Steps } from "./slices.ts";

/**
 * How much the words of one Dockerfile may come to: characters of values that are put in, and steps of patterns. Each step of
 * reading one is synchronous, so that the count is that of whatever is being read; a hostile one ends after about a second.
 */
const most = 30_000_000;

let left = most;

/** Reads one Dockerfile, or a part of it again, with a count of its own. */
export function withBudget<T>(body: () => T): T {
  const before = left;
  left = most;
  try {
    return body();
  } finally {
    left = before;
  }
}

/** The same for what is done in slices: each has the count of its own work, whatever is read in between. */
export function* budgeted<T>(steps: Steps<T>): Steps<T> {
  for (let own = most; ; ) {
    const before = left;
    left = own;
    try {
      const { done, value } = steps.next();
      if (done) return value;
    } finally {
      own = left;
      left = before;
    }
    yield;
  }
}

/** Throws "invalid" when there is nothing left. */
export function spend(amount: number): void {
  left -= amount;
  if (left < 0) throw new EngineError("invalid", "the variables of this Dockerfile come to too much text");
}
