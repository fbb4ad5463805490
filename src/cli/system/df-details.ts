import type { BuildCacheRecord, ContainerSummary, DiskUsage, ImageSummary, VolumeInspect } from "../../wire/mod.ts";
import { type Column, renderList } from "../output/table.ts";
import { ago, decimalSize, ellipsis, shortId } from "../output/units.ts";
import { splitImage } from "../session/pull.ts";

/** `system df -v`: a table for each kind of thing. */
export function detailsText(usage: DiskUsage, width: number | undefined): string {
  const table = <Row>(rows: readonly Row[] | undefined, columns: readonly Column<Row>[]) =>
    renderList(rows ?? [], { columns, shown: columns.map(({ name }) => name), format: "", width });
  return [
    `Images space usage:\n\n${table(usage.Images, imageColumns)}`,
    `Containers space usage:\n\n${table(usage.Containers, containerColumns)}`,
    `Local Volumes space usage:\n\n${table(usage.Volumes, volumeColumns)}`,
    cacheText(usage, width),
  ].join("\n");
}

/** Its part of that, which `builder du` shows alone. */
export function cacheText(usage: DiskUsage, width: number | undefined): string {
  const shown = cacheColumns.map(({ name }) => name);
  const table = renderList(usage.BuildCache ?? [], { columns: cacheColumns, shown, format: "", width });
  return `Build cache usage: ${cacheSize(usage)}\n\n${table}`;
}

function column<Row>(heading: string, value: (row: Row) => string, shrinks = false): Column<Row> {
  return { name: heading, heading, value, shrinks };
}

function cacheSize({ BuildCache }: DiskUsage): string {
  return decimalSize(
    (BuildCache ?? []).reduce((total, { Size, Shared }) => total + (Shared ? 0 : Size), 0),
    4,
  );
}

const firstName = ({ RepoTags }: ImageSummary) => splitImage(RepoTags[0] ?? "<none>:<none>");
const shared = ({ SharedSize }: ImageSummary) => Math.max(0, SharedSize);

const imageColumns: readonly Column<ImageSummary>[] = [
  column("REPOSITORY", (row) => firstName(row).name, true),
  column("TAG", (row) => firstName(row).tag),
  column("IMAGE ID", (row) => shortId(row.Id)),
  column("CREATED", (row) => ago(row.Created)),
  column("SIZE", (row) => decimalSize(row.Size)),
  column("SHARED SIZE", (row) => decimalSize(shared(row))),
  column("UNIQUE SIZE", (row) => decimalSize(row.Size - shared(row))),
  column("CONTAINERS", (row) => String(Math.max(0, row.Containers))),
];

const containerColumns: readonly Column<ContainerSummary>[] = [
  column("CONTAINER ID", (row) => shortId(row.Id)),
  column("IMAGE", (row) => row.Image, true),
  column("COMMAND", (row) => JSON.stringify(ellipsis(row.Command, 20))),
  column("LOCAL VOLUMES", (row) => String(row.Mounts.filter(({ Type }) => Type === "volume").length)),
  column("SIZE", (row) => decimalSize(row.SizeRw ?? 0)),
  column("CREATED", (row) => ago(row.Created)),
  column("STATUS", (row) => row.Status),
  column("NAMES", (row) => row.Names.map((name) => name.replace(/^\//, "")).join(",")),
];

const volumeColumns: readonly Column<VolumeInspect>[] = [
  column("VOLUME NAME", (row) => row.Name, true),
  column("LINKS", (row) => String(Math.max(0, row.UsageData?.RefCount ?? 0))),
  column("SIZE", (row) => decimalSize(Math.max(0, row.UsageData?.Size ?? 0))),
];

const cacheColumns: readonly Column<BuildCacheRecord>[] = [
  column("CACHE ID", (row) => shortId(row.ID)),
  column("CACHE TYPE", (row) => row.Type),
  column("SIZE", (row) => decimalSize(row.Size)),
  column("CREATED", (row) => ago(Date.parse(row.CreatedAt) / 1000)),
  column("LAST USED", (row) => (row.LastUsedAt ? ago(Date.parse(row.LastUsedAt) / 1000) : "")),
  column("USAGE", (row) => String(row.UsageCount)),
  column("SHARED", (row) => String(row.Shared)),
];
