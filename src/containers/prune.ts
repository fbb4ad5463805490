import { EngineError, isKind } from "../errors/mod.ts";
import type { Filters } from "../wire/mod.ts";
import { millis, nanos } from "./clock.ts";
import type { Context } from "./context.ts";
import { hasLabel } from "./filters.ts";
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
  for (const key of filter.keys()) {
    if (!["until", "label", "label!"].includes(key)) throw new EngineError("invalid", `invalid filter '${key}'`);
  }
  const until = (filter.get("until") ?? []).map((value) => parseUntil(value, Date.now()));
  const labels = filter.get("label") ?? [];
  const without = filter.get("label!") ?? [];
  return (row) =>
    ["created", "exited", "dead"].includes(row.phase) &&
    until.every((limit) => millis(row.created) < limit) &&
    labels.every((label) => hasLabel(row, label)) &&
    !without.some((label) => hasLabel(row, label));
}

/** An instant in milliseconds from RFC 3339, unix seconds, or a duration back from now ("10m", "1h30m"). Throws "invalid". */
export function parseUntil(value: string, now: number): number {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1000;
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  if (/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(value)) {
    const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
    return now - parts.reduce((sum, part) => sum + Number(part[1]) * (units[part[2] ?? ""] ?? 0), 0);
  }
  const at = nanos(/T/.test(value) ? value.replace(/(T\d\d:\d\d:\d\d(?:\.\d+)?)$/, "$1Z") : `${value}T00:00:00Z`);
  if (at === undefined) throw new EngineError("invalid", `invalid filter 'until=${value}'`);
  return Number(at / 1_000_000n);
}
