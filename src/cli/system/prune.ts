import { bool } from "../../flags/mod.ts";
import { command } from "../command.ts";
import { deletedText } from "../image/manage.ts";
import { print } from "../io.ts";
import { filterFlag, filtersOf } from "../session/filters.ts";
import { confirmed, type Prune, prune as pruneOne, reclaimed } from "../session/prune.ts";

export const prune = command({
  name: "prune",
  summary: "Remove unused data",
  usage: "[OPTIONS]",
  examples: ["berth system prune -f", "berth system prune -a --volumes"],
  flags: {
    all: bool("Remove all unused images not just dangling ones", { short: "a" }),
    filter: filterFlag('Provide filter values (e.g. "label=<key>=<value>")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
    volumes: bool("Prune anonymous volumes"),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    if (!flags.force && !(await confirmed(io, warning(flags)))) return 0;
    let bytes = 0;
    for (const step of steps(flags)) bytes += await pruneOne(io, client, step);
    await print(io, reclaimed(bytes));
    return 0;
  },
});

interface Choice {
  readonly all: boolean;
  readonly volumes: boolean;
  readonly filter: readonly (readonly [string, string])[];
}

/** Containers first: what they used is free then. */
function steps({ all, volumes, filter }: Choice): Prune[] {
  const filters = filtersOf(filter);
  // Volumes know no age.
  const ofVolumes = filtersOf(filter.filter(([key]) => key !== "until"));
  const dangling = filtersOf([...filter, ["dangling", String(!all)]]);
  return [
    { path: "/containers/prune", filters, heading: "Deleted Containers", field: "ContainersDeleted" },
    { path: "/networks/prune", filters, heading: "Deleted Networks", field: "NetworksDeleted" },
    ...(volumes
      ? [{ path: "/volumes/prune", filters: ofVolumes, heading: "Deleted Volumes", field: "VolumesDeleted" }]
      : []),
    { path: "/images/prune", filters: dangling, heading: "Deleted Images", field: "ImagesDeleted", line: deletedText },
    {
      path: "/build/prune",
      filters,
      query: { all },
      heading: "Deleted build cache objects",
      field: "CachesDeleted",
    },
  ];
}

function warning({ all, volumes, filter }: Choice): string {
  const parts = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(volumes ? ["all anonymous volumes not used by at least one container"] : []),
    all ? "all images without at least one container associated to them" : "all dangling images",
    all ? "all build cache" : "unused build cache",
  ];
  const filters = filter.map(([key, value]) => `  - ${key}=${value}\n`).join("");
  const also = filter.length > 0 ? `\n\n  Items to be pruned will be filtered with:\n${filters}` : "";
  return `This will remove:\n${parts.map((one) => `  - ${one}\n`).join("")}${also}`;
}
