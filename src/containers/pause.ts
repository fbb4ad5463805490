import { EngineError, isKind } from "../errors/mod.ts";
import type { Context } from "./context.ts";
import { publishing } from "./event.ts";
import { stopHealth, watchHealth } from "./health/lifecycle.ts";
import { resolve } from "./refs.ts";
import { transition } from "./transition.ts";

/** Freezes (or thaws) all processes of the container. */
export async function setPaused(ctx: Context, ref: string, paused: boolean): Promise<void> {
  const { id } = resolve(ctx.table, ref);
  const action = paused ? "pause" : "unpause";
  await ctx.locks.run(id, async () => {
    const row = resolve(ctx.table, id);
    const phase = transition(row.phase, action, row);
    if (paused) await stopHealth(ctx, row); // a frozen check could not be ended
    await ctx.runtime.freeze(id, paused).catch((err: unknown) => {
      if (paused) watchHealth(ctx, row);
      if (!isKind(err, "not-found")) throw err;
      throw new EngineError("conflict", `container ${id} is not running`, { cause: err }); // it has just ended
    });
    ctx.table.update(id, { phase }, publishing(ctx, { action }));
    if (!paused) watchHealth(ctx, row);
  });
}
