import { bool, parseBytes, value } from "../../flags/mod.ts";
import type { DiskUsage } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { print } from "../io.ts";
import { decimalSize } from "../output/units.ts";
import { filterFlag, filtersOf } from "../session/filters.ts";
import { confirmed } from "../session/prune.ts";
import { cacheText } from "../system/df-details.ts";

export const builderDu = command({
  name: "du",
  summary: "Show what the build cache keeps",
  usage: "",
  examples: ["berth builder du"],
  flags: {},
  args: { min: 0, max: 0 },
  async run({ client }, io) {
    const usage = await client.json<DiskUsage>({ method: "GET", path: "/system/df", query: { type: "build-cache" } });
    await print(io, cacheText(usage, io.stdout.columns));
    return 0;
  },
});

const bytesFlag = (help: string) => value(help, { placeholder: "bytes", parse: parseBytes, initial: 0 });

export const builderPrune = command({
  name: "prune",
  summary: "Remove build cache",
  usage: "[OPTIONS]",
  examples: ["berth builder prune -f"],
  flags: {
    all: bool("Remove all unused build cache, not just dangling ones", { short: "a" }),
    filter: filterFlag('Provide filter values (e.g. "until=24h")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
    "keep-storage": bytesFlag("Amount of disk space to keep for cache (the same as --reserved-space)"),
    "reserved-space": bytesFlag("Amount of disk space always allowed to keep for cache"),
    "max-used-space": bytesFlag("Maximum amount of disk space allowed to keep for cache"),
    "min-free-space": bytesFlag("Target amount of free disk space after pruning"),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const what = flags.all ? "all build cache" : "all dangling build cache";
    if (!flags.force && !(await confirmed(io, `This will remove ${what}.`))) return 0;
    const answer = await client.json<{ CachesDeleted: string[] | null; SpaceReclaimed: number }>({
      method: "POST",
      path: "/build/prune",
      query: {
        all: flags.all,
        "reserved-space": flags["reserved-space"] || flags["keep-storage"] || undefined,
        "max-used-space": flags["max-used-space"] || undefined,
        "min-free-space": flags["min-free-space"] || undefined,
        filters: filtersOf(flags.filter),
      },
    });
    const gone = answer.CachesDeleted ?? [];
    if (gone.length > 0) await print(io, `Deleted build cache objects:\n${gone.map((one) => `${one}\n`).join("")}\n`);
    await print(io, `Total reclaimed space: ${decimalSize(answer.SpaceReclaimed, 4)}\n`);
    return 0;
  },
});
