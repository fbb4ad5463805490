import { EngineError, kindOf, messageOf } from "../errors/mod.ts";
import type { Context } from "./context.ts";
import { publishing } from "./event.ts";
import { checkName } from "./names.ts";
import { resolve } from "./refs.ts";

/** Throws "invalid" for a bad or the same name, "conflict" for one in use. */
export async function rename(ctx: Context, ref: string, wanted: string): Promise<void> {
  if (wanted === "") throw new EngineError("invalid", "Neither old nor new names may be empty");
  const { id } = resolve(ctx.table, ref);
  const name = renamed(() => checkName(`/${wanted.replace(/^\//, "")}`));
  await ctx.locks.run(id, async () => {
    const { name: old } = resolve(ctx.table, id);
    if (old === name) {
      throw new EngineError("invalid", "Renaming a container with the same name as its current name");
    }
    const event = { action: "rename", attributes: { oldName: `/${old}` } };
    renamed(() => ctx.table.update(id, { name }, publishing(ctx, event)));
    await ctx.networks.rename(id, name);
  });
}

/** dockerd's words in front of why the new name cannot be had. */
function renamed<T>(step: () => T): T {
  try {
    return step();
  } catch (err) {
    throw new EngineError(kindOf(err), `Error when allocating new name: ${messageOf(err)}`, { cause: err });
  }
}
