import { bool, integer, text } from "../../flags/mod.ts";
import type { ContainerSummary } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { formatHelp } from "../output/format.ts";
import { type Column, showList } from "../output/table.ts";
import { ago, decimalSize, ellipsis, goTime, labelsText, shortId } from "../output/units.ts";
import { filterFlag, filtersOf } from "../session/filters.ts";
import { portsText } from "./ports-text.ts";

const columns = (full: boolean): Column<ContainerSummary>[] => [
  { name: "ID", heading: "CONTAINER ID", value: (row) => (full ? row.Id : shortId(row.Id)) },
  { name: "Image", heading: "IMAGE", value: (row) => (full ? row.Image : shortDigest(row.Image)), shrinks: true },
  { name: "Command", heading: "COMMAND", value: (row) => commandText(row.Command, full) },
  { name: "CreatedAt", heading: "CREATED AT", value: (row) => goTime(row.Created) },
  { name: "RunningFor", heading: "CREATED", value: (row) => ago(row.Created) },
  { name: "Status", heading: "STATUS", value: (row) => row.Status },
  { name: "State", heading: "STATE", value: (row) => row.State },
  { name: "Ports", heading: "PORTS", value: (row) => portsText(row.Ports), shrinks: true },
  { name: "Names", heading: "NAMES", value: (row) => namesText(row.Names, full) },
  { name: "Labels", heading: "LABELS", value: (row) => labelsText(row.Labels) },
  { name: "Mounts", heading: "MOUNTS", value: (row) => mountsText(row.Mounts, full) },
  {
    name: "LocalVolumes",
    heading: "LOCAL VOLUMES",
    value: (row) => String(row.Mounts.filter(({ Type }) => Type === "volume").length),
  },
  { name: "Networks", heading: "NETWORKS", value: (row) => Object.keys(row.NetworkSettings.Networks).join(",") },
  { name: "Size", heading: "SIZE", value: sizeText },
];

const shown = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];

export const ls = command({
  name: "ls",
  summary: "List containers",
  usage: "[OPTIONS]",
  examples: ["berth ps -a", "berth ps --filter status=exited --format '{{.Names}}: {{.Status}}'"],
  flags: {
    all: bool("Show all containers (default shows just running)", { short: "a" }),
    filter: filterFlag("Filter output based on conditions provided", { short: "f" }),
    format: text(formatHelp),
    last: integer("Show n last created containers (includes all states)", { short: "n" }),
    latest: bool("Show the latest created container (includes all states)", { short: "l" }),
    "no-trunc": bool("Don't truncate output"),
    quiet: bool("Only display container IDs", { short: "q" }),
    size: bool("Display total file sizes", { short: "s" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const limit = flags.latest ? 1 : flags.last;
    const size = flags.size || /\.Size\b/.test(flags.format);
    const query = { all: flags.all || (limit ?? -1) > 0, limit, size, filters: filtersOf(flags.filter) };
    const rows = await client.json<ContainerSummary[]>({ method: "GET", path: "/containers/json", query });
    return showList(io, rows, {
      columns: columns(flags["no-trunc"]),
      shown: flags.size ? [...shown, "Size"] : shown,
      format: flags.quiet ? "{{.ID}}" : flags.format,
      full: flags["no-trunc"],
      methods: { Label: (row, key) => row.Labels[key] ?? "" },
    });
  },
});

function shortDigest(image: string): string {
  return image.startsWith("sha256:") ? shortId(image) : image;
}

/** In quotes, with control characters shown rather than obeyed. */
function commandText(command: string, full: boolean): string {
  const quoted = JSON.stringify(full ? command : ellipsis(command, 20));
  return quoted.replace(/[\x7f-\x9f]/g, (char) => `\\x${char.charCodeAt(0).toString(16)}`);
}

/** Without the names that links of other containers give it, unless all is asked for. */
function namesText(names: readonly string[], full: boolean): string {
  const bare = names.map((name) => name.replace(/^\//, ""));
  return (full ? bare : bare.filter((name) => !name.includes("/"))).join(",");
}

function mountsText(mounts: ContainerSummary["Mounts"], full: boolean): string {
  return mounts
    .map(({ Name, Source }) => Name || Source)
    .map((one) => (full ? one : ellipsis(one, 15)))
    .join(",");
}

function sizeText({ SizeRw = 0, SizeRootFs = 0 }: ContainerSummary): string {
  return `${decimalSize(SizeRw)}${SizeRootFs > 0 ? ` (virtual ${decimalSize(SizeRootFs)})` : ""}`;
}
