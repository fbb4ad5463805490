import type { WaitAnswer } from "../../wire/mod.ts";
import type { WaitCondition } from "../containers.ts";
import type { Context } from "../context.ts";
import { resolve } from "../refs.ts";
import { isLive } from "../transition.ts";
import { untilListening } from "./listening.ts";

/**
 * Blocks until the condition holds; the code is that of the process whose end made it hold. An exit after which the restart
 * policy starts the container again is none (moby's `SetRestarting` wakes nobody who waits). A port has the code 0.
 */
export async function wait(
  ctx: Context,
  ref: string,
  options: { readonly until: WaitCondition; readonly signal: AbortSignal },
): Promise<WaitAnswer> {
  const { until, signal } = options;
  const row = resolve(ctx.table, ref);
  if (typeof until === "object") {
    await untilListening(ctx, { id: row.id, port: until.port }, signal);
    return { StatusCode: 0 };
  }
  const busy = isLive(row.phase) || row.phase === "restarting";
  if (until === "not-running" && !busy) {
    await ctx.locks.run(row.id, async () => undefined, signal); // what it wrote last may still be on its way to a client
    return { StatusCode: row.exitCode };
  }
  for (;;) {
    const end = await ctx.waiters.next(row.id, { removedOnly: until === "removed", signal });
    if (end.kind === "removed" || !end.restarts) return { StatusCode: end.code };
  }
}
