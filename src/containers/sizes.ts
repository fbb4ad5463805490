import type { Context } from "./context.ts";
import { snapshotKey } from "./paths.ts";
import type { Row } from "./table.ts";

/** Bytes of the container's own layer, and of that with all layers of its image. */
export async function sizes(ctx: Context, row: Row): Promise<{ SizeRw: number; SizeRootFs: number }> {
  let bytes = 0;
  let own = 0;
  for (let name: string | undefined = snapshotKey(row.id); name; name = ctx.snapshots.info(name)?.parent) {
    if (!ctx.snapshots.info(name)) break;
    const usage = await ctx.snapshots.usage(name);
    bytes += usage.bytes;
    if (name === snapshotKey(row.id)) own = usage.bytes;
  }
  return { SizeRw: own, SizeRootFs: bytes };
}
