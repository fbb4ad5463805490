import { randomBytes } from "node:crypto";
import { EngineError } from "../../errors/mod.ts";
import type { ExecCreateBody } from "../../wire/mod.ts";
import type { Context } from "../context.ts";
import { detachKeys } from "../detach-keys.ts";
import { commandText, publish } from "../event.ts";
import { resolve } from "../refs.ts";
import { transition } from "../transition.ts";
import { checkTexts } from "../validate.ts";

/** Throws "conflict" when the container does not run, "invalid" without a command. */
export function createExec(ctx: Context, ref: string, body: ExecCreateBody): { Id: string } {
  const row = resolve(ctx.table, ref);
  transition(row.phase, "exec", row);
  if (body.Cmd.length === 0) throw new EngineError("invalid", "No exec command specified");
  checkTexts(body);
  detachKeys(body.DetachKeys, "escape");
  ctx.runtime.expect(); // it is started at once, as a rule
  const id = randomBytes(32).toString("hex");
  ctx.execs.add({ id, containerId: row.id, body, phase: "created", pid: 0, exitCode: null });
  publish(ctx, row, { action: `exec_create: ${commandText(body.Cmd)}`, attributes: { execID: id } });
  return { Id: id };
}
