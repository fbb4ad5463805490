import { EngineError } from "../errors/mod.ts";
import type { Context } from "./context.ts";
import { publish } from "./event.ts";
import { resolve } from "./refs.ts";
import { isLive } from "./transition.ts";

interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** Throws "conflict" when the container does not run. */
export async function resize(ctx: Context, ref: string, size: Size): Promise<void> {
  const row = resolve(ctx.table, ref);
  if (!isLive(row.phase)) throw new EngineError("conflict", `container ${row.id} is not running`);
  if (!row.config.Tty) throw new EngineError("invalid", `container ${row.id} has no terminal to resize`);
  await ctx.runtime.resize(row.id, size);
  const attributes = { height: String(size.rows), width: String(size.columns) };
  publish(ctx, row, { action: "resize", attributes });
}

/** One that is starting is waited for: clients resize as soon as they have the connection. Throws "conflict" when it does not run. */
export async function resizeExec(ctx: Context, execId: string, size: Size): Promise<void> {
  const exec = await ctx.execs.started(execId);
  if (exec.phase !== "running") throw new EngineError("conflict", `exec process ${execId} is not running`);
  await ctx.runtime.resize(execId, size);
}
