import { EngineError } from "../../errors/mod.ts";
import type { Context } from "../context.ts";
import { resolve } from "../refs.ts";
import { refreshHosts } from "./hosts.ts";
import { linksOf } from "./links.ts";

/** `rm --link OWNER/ALIAS`: the owner's name for the other container goes, both containers stay. Throws "not-found", "conflict". */
export async function removeLink(ctx: Context, ref: string): Promise<void> {
  const bare = ref.replace(/^\//, "");
  const at = bare.indexOf("/");
  if (at < 0) {
    resolve(ctx.table, bare);
    throw new EngineError("conflict", "Conflict, cannot remove the default link name of the container");
  }
  const alias = bare.slice(at + 1);
  const missing = () => new EngineError("not-found", `No such container: ${bare}`);
  const owner = ctx.table.named(bare.slice(0, at));
  if (!owner) throw missing();
  await ctx.locks.run(owner.id, async () => {
    const row = ctx.table.get(owner.id);
    const links = row ? linksOf(row) : [];
    if (!row || !links.some((link) => link.alias === alias)) throw missing();
    const left = links.filter((link) => link.alias !== alias).map((link) => `${link.id}:${link.alias}`);
    ctx.table.update(row.id, { hostConfig: { ...row.hostConfig, Links: left.length > 0 ? left : null } });
    await refreshHosts(ctx, row.id, [alias]);
  });
}
