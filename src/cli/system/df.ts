import { bool, text } from "../../flags/mod.ts";
import type { DiskUsage } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { print } from "../io.ts";
import { formatHelp } from "../output/format.ts";
import { type Column, showList } from "../output/table.ts";
import { decimalSize } from "../output/units.ts";
import { detailsText } from "./df-details.ts";

interface Row {
  readonly type: string;
  readonly total: number;
  readonly active: number;
  /** Bytes. */
  readonly size: number;
  readonly reclaimable: number;
}

const columns: readonly Column<Row>[] = [
  { name: "Type", heading: "TYPE", value: (row) => row.type },
  { name: "TotalCount", heading: "TOTAL", value: (row) => String(row.total) },
  { name: "Active", heading: "ACTIVE", value: (row) => String(row.active) },
  { name: "Size", heading: "SIZE", value: (row) => decimalSize(row.size, 4) },
  { name: "Reclaimable", heading: "RECLAIMABLE", value: reclaimableText },
];

export const df = command({
  name: "df",
  summary: "Show disk usage of images, containers, volumes and build cache",
  usage: "[OPTIONS]",
  examples: ["berth system df", "berth system df -v"],
  flags: {
    format: text(formatHelp),
    verbose: bool("Show detailed information on space usage", { short: "v" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const usage = await client.json<DiskUsage>({ method: "GET", path: "/system/df" });
    if (!flags.verbose)
      return showList(io, rowsOf(usage), { columns, shown: columns.map(({ name }) => name), format: flags.format });
    await print(io, detailsText(usage, io.stdout.columns));
    return 0;
  },
});

function rowsOf(usage: DiskUsage): Row[] {
  return [imageRow(usage), containerRow(usage), volumeRow(usage), cacheRow(usage)];
}

/** Images share layers: what they take together, and what would be left of it with those that containers use. */
function imageRow({ Images, LayersSize = 0 }: DiskUsage): Row {
  const images = Images ?? [];
  const active = images.filter(({ Containers }) => Containers > 0);
  const used = sum(active.map(({ Size, SharedSize }) => (SharedSize < 0 ? Size : Size - SharedSize)));
  const reclaimable = Math.max(0, LayersSize - used);
  return { type: "Images", total: images.length, active: active.length, size: LayersSize, reclaimable };
}

function containerRow({ Containers }: DiskUsage): Row {
  const containers = Containers ?? [];
  const live = containers.filter(({ State }) => ["running", "paused", "restarting"].includes(State));
  const size = sum(containers.map(({ SizeRw }) => SizeRw ?? 0));
  const used = sum(live.map(({ SizeRw }) => SizeRw ?? 0));
  return { type: "Containers", total: containers.length, active: live.length, size, reclaimable: size - used };
}

function volumeRow({ Volumes }: DiskUsage): Row {
  const uses = (Volumes ?? []).map(({ UsageData }) => UsageData);
  const measured = uses.flatMap((use) => (use && use.Size >= 0 ? [use] : []));
  const free = measured.filter(({ RefCount }) => RefCount === 0);
  return {
    type: "Local Volumes",
    total: uses.length,
    active: uses.filter((use) => (use?.RefCount ?? 0) > 0).length,
    size: sum(measured.map(({ Size }) => Size)),
    reclaimable: sum(free.map(({ Size }) => Size)),
  };
}

function cacheRow({ BuildCache }: DiskUsage): Row {
  const own = (BuildCache ?? []).filter(({ Shared }) => !Shared);
  const inUse = (BuildCache ?? []).filter(({ InUse }) => InUse);
  const size = sum(own.map(({ Size }) => Size));
  const reclaimable = sum(own.filter(({ InUse }) => !InUse).map(({ Size }) => Size));
  return { type: "Build Cache", total: BuildCache?.length ?? 0, active: inUse.length, size, reclaimable };
}

function reclaimableText({ type, size, reclaimable }: Row): string {
  const bytes = decimalSize(reclaimable, 4);
  return size > 0 && type !== "Build Cache" ? `${bytes} (${Math.floor((reclaimable * 100) / size)}%)` : bytes;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
