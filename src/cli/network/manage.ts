import { isKind } from "../../errors/mod.ts";
import { bool, text } from "../../flags/mod.ts";
import type { NetworkInspect } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { formatHelp } from "../output/format.ts";
import { type Column, showList } from "../output/table.ts";
import { labelsText, shortId } from "../output/units.ts";
import { each } from "../session/each.ts";
import { filterFlag, filtersOf } from "../session/filters.ts";
import { inspectAll } from "../session/inspect.ts";
import { confirmed, prune as pruneAll } from "../session/prune.ts";
import { networkPath } from "./path.ts";

const columns = (full: boolean): Column<NetworkInspect>[] => [
  { name: "ID", heading: "NETWORK ID", value: (row) => (full ? row.Id : shortId(row.Id)) },
  { name: "Name", heading: "NAME", value: (row) => row.Name, shrinks: true },
  { name: "Driver", heading: "DRIVER", value: (row) => row.Driver },
  { name: "Scope", heading: "SCOPE", value: (row) => row.Scope },
  { name: "IPv4", heading: "IPV4", value: (row) => String(row.EnableIPv4) },
  { name: "IPv6", heading: "IPV6", value: (row) => String(row.EnableIPv6) },
  { name: "Internal", heading: "INTERNAL", value: (row) => String(row.Internal) },
  { name: "Labels", heading: "LABELS", value: (row) => labelsText(row.Labels) },
  { name: "CreatedAt", heading: "CREATED AT", value: (row) => row.Created },
];

export const ls = command({
  name: "ls",
  summary: "List networks",
  usage: "[OPTIONS]",
  examples: ["berth network ls --filter driver=bridge"],
  flags: {
    filter: filterFlag('Provide filter values (e.g. "driver=bridge")', { short: "f" }),
    format: text(formatHelp),
    "no-trunc": bool("Do not truncate the output"),
    quiet: bool("Only display network IDs", { short: "q" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const query = { filters: filtersOf(flags.filter) };
    const rows = await client.json<NetworkInspect[]>({ method: "GET", path: "/networks", query });
    return showList(
      io,
      rows.toSorted((a, b) => (a.Name < b.Name ? -1 : 1)),
      {
        columns: columns(flags["no-trunc"]),
        shown: ["ID", "Name", "Driver", "Scope"],
        format: flags.quiet ? "{{.ID}}" : flags.format,
        full: flags["no-trunc"],
        methods: { Label: (row, key) => row.Labels[key] ?? "" },
      },
    );
  },
});

export const inspect = command({
  name: "inspect",
  summary: "Display detailed information on one or more networks",
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  examples: ["berth network inspect -f '{{(index .IPAM.Config 0).Subnet}}' bridge"],
  flags: {
    format: text("Format output using a Go template", { short: "f" }),
    verbose: bool("Verbose output for diagnostics", { short: "v" }),
  },
  args: { min: 1 },
  run: ({ flags, args, client }, io) =>
    inspectAll(io, args, {
      format: flags.format,
      get: (name) => client.json({ method: "GET", path: networkPath(name), query: { verbose: flags.verbose } }),
    }),
});

export const rm = command({
  name: "rm",
  summary: "Remove one or more networks",
  usage: "NETWORK [NETWORK...]",
  examples: ["berth network rm app"],
  flags: { force: bool("Do not error if the network does not exist", { short: "f" }) },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    return each(io, args, async (name) => {
      try {
        await client.status({ method: "DELETE", path: networkPath(name) });
        return name;
      } catch (err) {
        if (flags.force && isKind(err, "not-found")) return undefined;
        throw err;
      }
    });
  },
});

export const prune = command({
  name: "prune",
  summary: "Remove all unused networks",
  usage: "[OPTIONS]",
  examples: ["berth network prune -f"],
  flags: {
    filter: filterFlag('Provide filter values (e.g. "until=<timestamp>")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const warning = "This will remove all custom networks not used by at least one container.";
    if (!flags.force && !(await confirmed(io, warning))) return 0;
    await pruneAll(io, client, {
      path: "/networks/prune",
      filters: filtersOf(flags.filter),
      heading: "Deleted Networks",
      field: "NetworksDeleted",
    });
    return 0;
  },
});
