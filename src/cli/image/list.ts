import { bool, text } from "../../flags/mod.ts";
import type { ImageHistoryItem, ImageSummary } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { formatHelp } from "../output/format.ts";
import { type Column, showList } from "../output/table.ts";
import { ago, decimalSize, ellipsis, goTime, shortId } from "../output/units.ts";
import { filterFlag, filtersOf } from "../session/filters.ts";
import { splitImage } from "../session/pull.ts";
import { imagePath } from "./path.ts";

interface Row {
  readonly image: ImageSummary;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

const none = "<none>";

const columns = (full: boolean): Column<Row>[] => [
  { name: "Repository", heading: "REPOSITORY", value: (row) => row.repository, shrinks: true },
  { name: "Tag", heading: "TAG", value: (row) => row.tag },
  { name: "Digest", heading: "DIGEST", value: (row) => row.digest },
  { name: "ID", heading: "IMAGE ID", value: (row) => (full ? row.image.Id : shortId(row.image.Id)) },
  { name: "CreatedSince", heading: "CREATED", value: (row) => ago(row.image.Created) },
  { name: "CreatedAt", heading: "CREATED AT", value: (row) => goTime(row.image.Created) },
  { name: "Size", heading: "SIZE", value: (row) => decimalSize(row.image.Size) },
];

export const ls = command({
  name: "ls",
  summary: "List images",
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  examples: ["berth images", "berth images --filter dangling=true -q"],
  flags: {
    all: bool("Show all images (default hides intermediate images)", { short: "a" }),
    digests: bool("Show digests"),
    filter: filterFlag("Filter output based on conditions provided", { short: "f" }),
    format: text(formatHelp),
    "no-trunc": bool("Don't truncate output"),
    quiet: bool("Only show image IDs", { short: "q" }),
  },
  args: { min: 0, max: 1 },
  async run({ flags, args: [reference], client }, io) {
    const filters = filtersOf([...flags.filter, ...(reference ? [["reference", reference] as const] : [])]);
    const query = { all: flags.all, filters };
    const images = await client.json<ImageSummary[]>({ method: "GET", path: "/images/json", query });
    return showList(
      io,
      images.flatMap((image) => rowsOf(image, flags.digests)),
      {
        columns: columns(flags["no-trunc"]),
        shown: ["Repository", "Tag", ...(flags.digests ? ["Digest"] : []), "ID", "CreatedSince", "Size"],
        format: flags.quiet ? "{{.ID}}" : flags.format,
        full: flags["no-trunc"],
      },
    );
  },
});

/** A line for each name of an image; where digests are shown too, for each digest that no tag covers. */
function rowsOf(image: ImageSummary, digests: boolean): Row[] {
  const digestOf = (name: string) =>
    image.RepoDigests.find((one) => one.startsWith(`${name}@`))?.slice(name.length + 1) ?? none;
  const tagged = image.RepoTags.filter((one) => one !== "<none>:<none>").map(splitImage);
  const untagged = image.RepoDigests.filter((one) => one !== "<none>@<none>")
    .map(splitImage)
    .filter(({ name }) => !tagged.some((one) => one.name === name));
  const rows = [
    ...tagged.map(({ name, tag }) => ({ image, repository: name, tag, digest: digestOf(name) })),
    ...untagged.map(({ name, tag }) => ({ image, repository: name, tag: none, digest: tag })),
  ];
  if (rows.length === 0) return [{ image, repository: none, tag: none, digest: none }];
  return digests || tagged.length === 0 ? rows : rows.slice(0, tagged.length);
}

const historyColumns = (full: boolean, human: boolean): Column<ImageHistoryItem>[] => [
  { name: "ID", heading: "IMAGE", value: (row) => (full || row.Id === "<missing>" ? row.Id : shortId(row.Id)) },
  { name: "CreatedSince", heading: "CREATED", value: (row) => (human ? ago(row.Created) : isoTime(row.Created)) },
  { name: "CreatedAt", heading: "CREATED AT", value: (row) => isoTime(row.Created) },
  {
    name: "CreatedBy",
    heading: "CREATED BY",
    value: (row) => (full ? row.CreatedBy : ellipsis(row.CreatedBy.replace(/\s+/g, " "), 45)),
    shrinks: !full,
  },
  { name: "Size", heading: "SIZE", value: (row) => (human ? decimalSize(row.Size) : String(row.Size)) },
  { name: "Comment", heading: "COMMENT", value: (row) => row.Comment },
];

function isoTime(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toISOString().replace(".000Z", "Z");
}

export const history = command({
  name: "history",
  summary: "Show the history of an image",
  usage: "[OPTIONS] IMAGE",
  examples: ["berth history --no-trunc nginx"],
  flags: {
    format: text(formatHelp),
    human: bool("Print sizes and dates in human readable format", { short: "H", initial: true }),
    "no-trunc": bool("Don't truncate output"),
    platform: text("Show history for the given platform"),
    quiet: bool("Only show image IDs", { short: "q" }),
  },
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ""], client }, io) {
    const query = { platform: flags.platform ? platformJson(flags.platform) : undefined };
    const rows = await client.json<ImageHistoryItem[]>({ method: "GET", path: imagePath(name, "/history"), query });
    return showList(io, rows, {
      columns: historyColumns(flags["no-trunc"], flags.human),
      shown: ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
      format: flags.quiet ? "{{.ID}}" : flags.format,
      full: flags["no-trunc"],
    });
  },
});

/** `os[/arch[/variant]]` as the newer parts of the API want it. */
export function platformJson(text: string): string {
  const [os, architecture, variant] = text.split("/");
  return JSON.stringify({ os, ...(architecture && { architecture }), ...(variant && { variant }) });
}
