import type { ContainerState, ContainerStatus } from "../wire/mod.ts";
import { humanDuration } from "../wire/mod.ts";
import { millis, never } from "./clock.ts";
import type { Health } from "./health/machine.ts";
import type { Row } from "./table.ts";
import { isLive } from "./transition.ts";

/** Docker's word for the phase. */
export function statusOf({ phase }: Pick<Row, "phase">): ContainerStatus {
  return phase === "creating" ? "created" : phase;
}

/** The STATUS column of `docker ps`: "Up 3 minutes (healthy)", "Exited (0) 2 hours ago". `now` in milliseconds since 1970. */
export function statusText(row: Row, now: number, health?: Health): string {
  const ago = () => humanDuration(Math.max(0, now - millis(row.finished)) / 1000);
  const up = () => `Up ${humanDuration(Math.max(0, now - millis(row.started)) / 1000)}`;
  const status = statusOf(row);
  switch (status) {
    case "created":
      return "Created";
    case "running":
      return health ? `${up()} (${health.Status === "starting" ? "health: starting" : health.Status})` : up();
    case "paused":
      return `${up()} (Paused)`;
    case "restarting":
      return `Restarting (${row.exitCode}) ${ago()} ago`;
    case "exited":
      return `Exited (${row.exitCode}) ${ago()} ago`;
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    default:
      return status satisfies never;
  }
}

/** The `State` of `inspect`. A container that waits for a retry counts as running, as Docker has it. */
export function stateOf(row: Row, health?: Health): ContainerState {
  return {
    Status: statusOf(row),
    Running: isLive(row.phase) || row.phase === "restarting",
    Paused: row.phase === "paused",
    Restarting: row.phase === "restarting",
    OOMKilled: row.oomKilled,
    Dead: row.phase === "dead",
    Pid: row.pid,
    ExitCode: row.exitCode,
    Error: row.error,
    StartedAt: row.started || never,
    FinishedAt: row.finished || never,
    ...(health && { Health: health }),
  };
}
