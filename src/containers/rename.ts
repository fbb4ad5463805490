import { EngineError } from "../errors/mod.ts";
import type { Context } from "./context.ts";
import { publishing } from "./event.ts";
import { checkName } from "./names.ts";
import { resolve } from "./refs.ts";

/** Throws "invalid" for a bad or the same name, "conflict" for one in use. */
export async function rename(ctx: Context, ref: string, wanted: string): Promise<void> {
  if (wanted === "") throw new EngineError("invalid", "Neither old nor new names may be empty");
  const { id } = resolve(ctx.table, ref);
  const name = checkName(wanted);
  await ctx.locks.run(id, async () => {
    const { name: old } = resolve(ctx.table, id);
    if (old === name) {
      throw new EngineError("invalid", "Renaming a container with the same name as its current name");
    }
    const event = { action: "rename", attributes: { oldName: `/${old}` } };
    ctx.table.update(id, { name }, publishing(ctx, event));
    await ctx.networks.rename(id, name);
  });
}
