import { isKind } from "../errors/mod.ts";
import { type Filters, filterUntil, labelTest, requireFilters } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { removeNetwork } from "./create.ts";
import { listNetworks } from "./list.ts";

/** Removes everything custom that nobody uses, but configurations. One that came into use meanwhile stays. Gives the names; filters: until, label, label!. */
export async function pruneNetworks(context: Context, filter: Filters): Promise<string[]> {
  requireFilters(filter, ["until", "label", "label!"]);
  const [until, hasLabels] = [filterUntil(filter), labelTest(filter)];
  const unused = new Map([
    ["dangling", ["true"]],
    ["type", ["custom"]],
  ]);
  const deleted: string[] = [];
  for (const { Id, Name, Created, Labels, ConfigOnly } of context.db.read((q) => listNetworks(q, unused))) {
    if (ConfigOnly || Date.parse(Created) >= until || !hasLabels(Labels)) continue;
    try {
      await removeNetwork(context, Id);
      deleted.push(Name);
    } catch (err) {
      if (!isKind(err, "forbidden") && !isKind(err, "not-found")) throw err;
    }
  }
  context.events.publish({ type: "network", action: "prune", id: "", attributes: { reclaimed: "0" } });
  return deleted;
}
