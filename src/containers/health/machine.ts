import type { HealthState } from "../../wire/mod.ts";
import type { Plan } from "./plan.ts";

/** One run of the check. Instants are RFC 3339; the exit code is -1 where there is none: it could not run, or took too long. */
export type Check = NonNullable<HealthState["Log"]>[number];

/** A container's health, as `inspect` shows it. */
export interface Health extends HealthState {
  readonly Log: readonly Check[];
}

const remembered = 5;

/** At the start of a container's process; what was logged of earlier ones stays. */
export function begun(before: Health | undefined): Health {
  return { Status: "starting", FailingStreak: 0, Log: before?.Log ?? [] };
}

/** While nobody checks, a container is not healthy (moby's `CloseMonitorChannel`: stopped and paused ones). */
export function unwatched(before: Health): Health {
  return { ...before, Status: "unhealthy" };
}

/** After a check that began `sinceStart` milliseconds after the container's process. */
export function checked(plan: Plan, before: Health, taken: { check: Check; sinceStart: number }): Health {
  const { check, sinceStart } = taken;
  const Log = [...before.Log, check].slice(-remembered);
  if (check.ExitCode === 0) return { Status: "healthy", FailingStreak: 0, Log };
  if (before.Status === "starting" && sinceStart < plan.startPeriod) return { ...before, Log };
  const FailingStreak = before.FailingStreak + 1;
  return { Status: FailingStreak >= plan.retries ? "unhealthy" : before.Status, FailingStreak, Log };
}

/** Milliseconds until the next check. */
export function nextDelay(plan: Plan, health: Pick<Health, "Status">, sinceStart: number): number {
  return health.Status === "starting" && sinceStart < plan.startPeriod ? plan.startInterval : plan.interval;
}
