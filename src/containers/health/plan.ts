import { EngineError } from "../../errors/mod.ts";
import type { ContainerConfig, HealthConfig } from "../../wire/mod.ts";

/** How a container's health is checked, all defaults filled in. Durations in milliseconds. */
export interface Plan {
  /** What is executed in the container. */
  readonly command: readonly string[];
  readonly interval: number;
  readonly timeout: number;
  /** Failures do not count for this long after the start, until the first success. */
  readonly startPeriod: number;
  /** The interval in the start period, until the first success. */
  readonly startInterval: number;
  readonly retries: number;
}

const defaults = { interval: 30_000, timeout: 30_000, startPeriod: 0, startInterval: 5_000, retries: 3 } as const;
const nanosPerMilli = 1e6;
/** A timer that is set to more milliseconds fires at once. */
const longest = 2 ** 31 - 1;

/** undefined for a container without a health check: none at all, `NONE`, or a test of an unknown kind. */
export function planOf(config: Pick<ContainerConfig, "Healthcheck" | "Shell">): Plan | undefined {
  const health = config.Healthcheck;
  const command = commandOf(health?.Test ?? [], config.Shell);
  if (!health || !command) return undefined;
  return {
    command,
    interval: millis(health.Interval, defaults.interval),
    timeout: millis(health.Timeout, defaults.timeout),
    startPeriod: millis(health.StartPeriod, defaults.startPeriod),
    startInterval: millis(health.StartInterval, defaults.startInterval),
    retries: positive(health.Retries) ?? defaults.retries,
  };
}

function commandOf(
  [kind, ...words]: readonly string[],
  shell: readonly string[] | undefined,
): readonly string[] | undefined {
  if (kind === "CMD") return words;
  if (kind === "CMD-SHELL") return [...(shell && shell.length > 0 ? shell : ["/bin/sh", "-c"]), ...words];
  return undefined;
}

function millis(nanos: number | undefined, otherwise: number): number {
  const given = positive(nanos);
  return given === undefined ? otherwise : Math.min(Math.max(given / nanosPerMilli, 1), longest);
}

/** An image may hold anything. */
function positive(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 ? value : undefined;
}

/** Throws "invalid" in Docker's words for durations and counts that cannot be (moby `daemon/container.go`, validateHealthCheck). */
export function checkHealth(health: HealthConfig | undefined): void {
  for (const name of ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const) {
    const nanos = health?.[name] ?? 0;
    if (nanos !== 0 && nanos < nanosPerMilli) {
      throw new EngineError("invalid", `${name} in Healthcheck cannot be less than 1ms`);
    }
  }
  if ((health?.Retries ?? 0) < 0) throw new EngineError("invalid", "Retries in Healthcheck cannot be negative");
}

/** What the answer to a create says about a health check that is none. */
export function healthWarnings(health: HealthConfig | undefined): string[] {
  const kind = health?.Test?.[0];
  if (kind === undefined || ["NONE", "CMD", "CMD-SHELL"].includes(kind)) return [];
  return [`Unknown health check type '${kind}' (expected CMD, CMD-SHELL or NONE): the container has no health check`];
}
