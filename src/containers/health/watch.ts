import { type Check, checked, type Health, nextDelay } from "./machine.ts";
import type { Plan } from "./plan.ts";

/** Time, so that tests need not wait for it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Rejects when the signal aborts. */
  after(ms: number, signal: AbortSignal): Promise<void>;
}

export interface Watch {
  readonly plan: Plan;
  /** When the container's process started, in milliseconds since 1970. */
  readonly started: number;
  readonly clock: Clock;
  /** Runs the check once; rejects when the signal aborts. */
  readonly check: (signal: AbortSignal) => Promise<Check>;
  /** Told after each check. */
  readonly changed: (health: Health, before: Health) => void;
}

/** Checks again and again, one after the other, until the signal aborts. Never rejects for any other reason than `check` does. */
export async function watch(watched: Watch, first: Health, signal: AbortSignal): Promise<never> {
  const { plan, started, clock, check, changed } = watched;
  for (let health = first; ; ) {
    await clock.after(nextDelay(plan, health, clock.now() - started), signal);
    const sinceStart = clock.now() - started;
    const taken = await check(signal);
    signal.throwIfAborted();
    const after = checked(plan, health, { check: taken, sinceStart });
    changed(after, health);
    health = after;
  }
}
