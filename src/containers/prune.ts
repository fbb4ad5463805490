import { isKind } from "../errors/mod.ts";
import { type Filters, filterUntil, labelTest, requireFilters } from "../wire/mod.ts";
import { millis } from "./clock.ts";
import type { Context } from "./context.ts";
import { removeLocked } from "./remove.ts";
import { sizes } from "./sizes.ts";
import type { Row } from "./table.ts";

export interface Pruned {
  readonly ContainersDeleted: readonly string[];
  readonly SpaceReclaimed: number;
}

/** Removes containers that do not run. Filters: until, label, label!. */
export async function prune(ctx: Context, filter: Filters): Promise<Pruned> {
  const accepts = compile(filter);
  const ContainersDeleted: string[] = [];
  let SpaceReclaimed = 0;
  for (const { id } of [...ctx.table.all()].filter(accepts)) {
    await ctx.locks
      .run(id, async () => {
        const row = ctx.table.get(id);
        if (!row || !accepts(row)) return;
        const { SizeRw } = await sizes(ctx, row);
        await removeLocked(ctx, { row, volumes: false });
        ContainersDeleted.push(id);
        SpaceReclaimed += SizeRw;
      })
      .catch((err: unknown) => {
        if (!isKind(err, "conflict")) throw err; // became needed meanwhile
      });
  }
  const attributes = { reclaimed: String(SpaceReclaimed) };
  ctx.events.publish({ type: "container", action: "prune", id: "", attributes });
  return { ContainersDeleted, SpaceReclaimed };
}

function compile(filter: Filters): (row: Row) => boolean {
  requireFilters(filter, ["until", "label", "label!"]);
  const [until, hasLabels] = [filterUntil(filter), labelTest(filter)];
  return (row) =>
    ["created", "exited", "dead"].includes(row.phase) && millis(row.created) < until && hasLabels(row.config.Labels);
}
