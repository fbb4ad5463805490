import type { Context } from "./context.ts";
import { snapshotKey } from "./paths.ts";
import type { Row } from "./table.ts";

/** Bytes of the container's own layer, and of that with all layers of its image. */
export async function sizes(ctx: Context, row: Row): Promise<{ SizeRw: number; SizeRootFs: number }> {
  let bytes = 0;
  let own = 0;
  for (let name: string | undefined = snapshotKey(row.id); name; name = ctx.snapshots.info(name)?.parent) {
    if (!ctx.snapshots.info(name)) break;
    const usage = await usageOf(ctx, name);
    bytes += usage.bytes;
    if (name === snapshotKey(row.id)) own = usage.bytes;
  }
  return { SizeRw: own, SizeRootFs: bytes };
}

/** Nothing for one that was removed while it was measured: a list of containers is no worse for it. */
async function usageOf(ctx: Context, name: string): Promise<{ bytes: number }> {
  try {
    return await ctx.snapshots.usage(name);
  } catch (err) {
    if (ctx.snapshots.info(name)) throw err;
    return { bytes: 0 };
  }
}
