import { bool, integer, list, text } from "../../flags/mod.ts";
import type { ContainerSummary, PortSummary } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { colours, print } from "../io.ts";
import { type Column, renderList } from "../output/table.ts";
import { ago, decimalSize, ellipsis, shortId } from "../output/units.ts";
import { filtersOf } from "../session/each.ts";

const columns = (full: boolean): Column<ContainerSummary>[] => [
  { name: "ID", heading: "CONTAINER ID", value: (row) => (full ? row.Id : shortId(row.Id)) },
  { name: "Image", heading: "IMAGE", value: (row) => (full ? row.Image : shortDigest(row.Image)), shrinks: true },
  { name: "Command", heading: "COMMAND", value: (row) => `"${full ? row.Command : ellipsis(row.Command, 20)}"` },
  { name: "CreatedAt", heading: "CREATED AT", value: (row) => new Date(row.Created * 1000).toISOString() },
  { name: "RunningFor", heading: "CREATED", value: (row) => ago(row.Created) },
  { name: "Status", heading: "STATUS", value: (row) => row.Status },
  { name: "State", heading: "STATE", value: (row) => row.State },
  { name: "Ports", heading: "PORTS", value: (row) => portsText(row.Ports), shrinks: true },
  { name: "Names", heading: "NAMES", value: (row) => row.Names.map((name) => name.replace(/^\//, "")).join(",") },
  {
    name: "Labels",
    heading: "LABELS",
    value: (row) =>
      Object.entries(row.Labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(","),
  },
  {
    name: "Mounts",
    heading: "MOUNTS",
    value: (row) => row.Mounts.map((mount) => ellipsis(mount.Name ?? mount.Source, full ? 1000 : 15)).join(","),
  },
  {
    name: "LocalVolumes",
    heading: "LOCAL VOLUMES",
    value: (row) => String(row.Mounts.filter((mount) => mount.Type === "volume").length),
  },
  { name: "Networks", heading: "NETWORKS", value: (row) => Object.keys(row.NetworkSettings.Networks).join(",") },
  {
    name: "Size",
    heading: "SIZE",
    value: (row) => `${decimalSize(row.SizeRw ?? 0)} (virtual ${decimalSize(row.SizeRootFs ?? 0)})`,
  },
];

const shown = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];

export const ls = command({
  name: "ls",
  summary: "List containers",
  usage: "[OPTIONS]",
  examples: ["berth ps -a", "berth ps --filter status=exited --format '{{.Names}}: {{.Status}}'"],
  flags: {
    all: bool("Show all containers (default shows just running)", { short: "a" }),
    filter: list("Filter output based on conditions provided", { short: "f" }),
    format: text("Format output: table, json, or a Go template"),
    last: integer("Show n last created containers (includes all states)", { short: "n" }),
    latest: bool("Show the latest created container (includes all states)", { short: "l" }),
    "no-trunc": bool("Don't truncate output"),
    quiet: bool("Only display container IDs", { short: "q" }),
    size: bool("Display total file sizes", { short: "s" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const limit = flags.latest ? 1 : flags.last;
    const size = flags.size || flags.format.includes(".Size");
    const query = { all: flags.all || limit !== undefined, limit, size, filters: filtersOf(flags.filter) };
    const rows = await client.json<ContainerSummary[]>({ method: "GET", path: "/containers/json", query });
    const format = flags.quiet && !flags.format ? "{{.ID}}" : flags.format;
    const names = flags.size ? [...shown, "Size"] : shown;
    const width = flags["no-trunc"] ? undefined : io.stdout.columns;
    await print(
      io,
      renderList(rows, { columns: columns(flags["no-trunc"]), shown: names, format, width, bold: colours(io) }),
    );
    return 0;
  },
});

function shortDigest(image: string): string {
  return image.startsWith("sha256:") ? shortId(image) : image;
}

/** `0.0.0.0:8080->80/tcp, 443/tcp`, with neighbouring ports joined into ranges, as docker does. */
export function portsText(ports: readonly PortSummary[]): string {
  const sorted = ports.toSorted(
    (a, b) =>
      a.Type.localeCompare(b.Type) ||
      (a.IP ?? "").localeCompare(b.IP ?? "") ||
      a.PrivatePort - b.PrivatePort ||
      (a.PublicPort ?? 0) - (b.PublicPort ?? 0),
  );
  const groups: PortSummary[][] = [];
  for (const port of sorted) {
    const last = groups.at(-1)?.at(-1);
    if (last && follows(last, port)) groups.at(-1)?.push(port);
    else groups.push([port]);
  }
  return groups.map(groupText).join(", ");
}

function follows(before: PortSummary, port: PortSummary): boolean {
  if (before.Type !== port.Type || before.IP !== port.IP || port.PrivatePort !== before.PrivatePort + 1) return false;
  return port.PublicPort === undefined
    ? before.PublicPort === undefined
    : port.PublicPort === (before.PublicPort ?? 0) + 1;
}

function groupText(group: readonly PortSummary[]): string {
  const [first, last] = [group[0], group.at(-1)];
  if (!first || !last) return "";
  const span = (from: number, to: number) => (from === to ? String(from) : `${from}-${to}`);
  const inside = `${span(first.PrivatePort, last.PrivatePort)}/${first.Type}`;
  if (first.PublicPort === undefined || last.PublicPort === undefined) return inside;
  const ip = first.IP?.includes(":") ? `[${first.IP}]` : (first.IP ?? "");
  return `${ip}:${span(first.PublicPort, last.PublicPort)}->${inside}`;
}
