import { bool } from "../../flags/mod.ts";
import { command } from "../command.ts";
import { print } from "../io.ts";
import { filterFlag, filtersOf } from "../session/filters.ts";
import { confirmed, prune as pruneAll, reclaimed } from "../session/prune.ts";

export const prune = command({
  name: "prune",
  summary: "Remove all stopped containers",
  usage: "[OPTIONS]",
  examples: ["berth container prune -f"],
  flags: {
    filter: filterFlag('Provide filter values (e.g. "until=<timestamp>")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    if (!flags.force && !(await confirmed(io, "This will remove all stopped containers."))) return 0;
    const bytes = await pruneAll(io, client, {
      path: "/containers/prune",
      filters: filtersOf(flags.filter),
      heading: "Deleted Containers",
      field: "ContainersDeleted",
    });
    await print(io, reclaimed(bytes));
    return 0;
  },
});
