import { EngineError, messageOf } from "../../errors/mod.ts";
import type { ContainerConfig, HostConfig } from "../../wire/mod.ts";
import type { Context } from "../context.ts";
import { sendSignal } from "../kill.ts";
import { restart, stop } from "../stop.ts";
import type { Row } from "../table.ts";
import { isLive } from "../transition.ts";
import { planOf } from "./plan.ts";

/** Annotation (or label, for clients without annotations) that says what becomes of a container that is unhealthy. */
export const onFailureKey = "dev.berth.health-on-failure";

const actions = ["none", "kill", "restart", "stop"] as const;
export type HealthAction = (typeof actions)[number];

/**
 * Throws "invalid" for a word that is none of the four, and for an annotation that asks for what no health check could lead to.
 * A label may be the image's, whose check the user has switched off: it has no effect then.
 */
export function healthAction(config: ContainerConfig, host: Pick<HostConfig, "Annotations">): HealthAction {
  const asked = host.Annotations?.[onFailureKey] ?? config.Labels[onFailureKey] ?? "none";
  const action = actions.find((one) => one === asked);
  if (!action)
    throw new EngineError("invalid", `invalid ${onFailureKey}: '${asked}': use one of ${actions.join(", ")}`);
  if (action === "none" || planOf(config)) return action;
  if (host.Annotations?.[onFailureKey] === undefined) return "none";
  throw new EngineError("invalid", `invalid ${onFailureKey}: ${action} needs a health check, and there is none`);
}

/** Does what the container asks for now that it is unhealthy; what fails is tried again after the next failing check. */
export function actOnFailure(ctx: Context, id: string): void {
  const row = ctx.table.get(id);
  const action = row ? healthAction(row.config, row.hostConfig) : "none";
  if (!row || action === "none") return;
  ctx.log.info("a container is unhealthy", { container: id, name: row.name, action });
  const done = ctx.health.once(id, () => act(ctx, { row, action }));
  done.catch((err: unknown) => {
    ctx.log.warn("could not act on an unhealthy container", { container: id, action, error: messageOf(err) });
  });
}

async function act(ctx: Context, { row, action }: { row: Row; action: HealthAction }): Promise<void> {
  switch (action) {
    case "none":
      return;
    case "kill":
      return killLikeACrash(ctx, row);
    case "restart":
      return restart(ctx, row.id, {});
    case "stop":
      return stop(ctx, row.id, {});
    default:
      return action satisfies never;
  }
}

/** Not by a user's word, so that the restart policy applies. */
async function killLikeACrash(ctx: Context, { id, started }: Row): Promise<void> {
  await ctx.locks.run(id, async () => {
    const row = ctx.table.get(id);
    if (row && isLive(row.phase) && row.started === started) await sendSignal(ctx, { row, signal: 9, final: true });
  });
}
