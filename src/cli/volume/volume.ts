import { EngineError } from "../../errors/mod.ts";
import { bool, list, text } from "../../flags/mod.ts";
import type { VolumeInspect } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { pairs } from "../container/values.ts";
import { print } from "../io.ts";
import { formatHelp } from "../output/format.ts";
import { type Column, showList } from "../output/table.ts";
import { decimalSize, labelsText } from "../output/units.ts";
import { each } from "../session/each.ts";
import { filterFlag, filtersOf } from "../session/filters.ts";
import { inspectAll } from "../session/inspect.ts";
import { confirmed, prune as pruneAll, reclaimed } from "../session/prune.ts";
import { volumePath } from "./path.ts";

const columns: readonly Column<VolumeInspect>[] = [
  { name: "Driver", heading: "DRIVER", value: (row) => row.Driver },
  { name: "Name", heading: "VOLUME NAME", value: (row) => row.Name, shrinks: true },
  { name: "Mountpoint", heading: "MOUNTPOINT", value: (row) => row.Mountpoint },
  { name: "Scope", heading: "SCOPE", value: (row) => row.Scope },
  { name: "Labels", heading: "LABELS", value: (row) => labelsText(row.Labels) },
  { name: "Size", heading: "SIZE", value: ({ UsageData: use }) => (use ? decimalSize(use.Size) : "N/A") },
  // Of cluster volumes, which are none of ours.
  { name: "Availability", heading: "AVAILABILITY", value: () => "N/A" },
  { name: "Group", heading: "GROUP", value: () => "N/A" },
  { name: "Status", heading: "STATUS", value: () => "N/A" },
  { name: "Links", heading: "LINKS", value: ({ UsageData: use }) => String(use?.RefCount ?? "N/A") },
];

export const ls = command({
  name: "ls",
  summary: "List volumes",
  usage: "[OPTIONS]",
  examples: ["berth volume ls --filter dangling=true"],
  flags: {
    filter: filterFlag('Provide filter values (e.g. "dangling=true")', { short: "f" }),
    format: text(formatHelp),
    quiet: bool("Only display volume names", { short: "q" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const query = { filters: filtersOf(flags.filter) };
    const answer = await client.json<{ Volumes: VolumeInspect[] | null }>({ method: "GET", path: "/volumes", query });
    return showList(
      io,
      (answer.Volumes ?? []).toSorted((a, b) => (a.Name < b.Name ? -1 : 1)),
      {
        columns,
        shown: ["Driver", "Name"],
        format: flags.quiet ? "{{.Name}}" : flags.format,
        methods: { Label: (row, key) => row.Labels?.[key] ?? "" },
      },
    );
  },
});

export const create = command({
  name: "create",
  summary: "Create a volume",
  usage: "[OPTIONS] [VOLUME]",
  examples: ["berth volume create data", "berth volume create --size 10g data"],
  flags: {
    driver: text("Specify volume driver name", { short: "d", initial: "local" }),
    label: list("Set metadata for a volume", { placeholder: "KEY=VALUE" }),
    name: text("The same as the argument"),
    opt: list("Set driver specific options", { short: "o", placeholder: "KEY=VALUE" }),
    size: text("The most that its files may have, such as 10g (the same as --opt size=10g)"),
  },
  args: { min: 0, max: 1 },
  async run({ flags, args: [name], client }, io) {
    if (name !== undefined && flags.name)
      throw new EngineError(
        "invalid",
        "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
      );
    const body = {
      Name: name ?? flags.name,
      Driver: flags.driver,
      DriverOpts: withSize(pairs(flags.opt), flags.size),
      Labels: pairs(flags.label),
    };
    const { Name } = await client.json<VolumeInspect>({ method: "POST", path: "/volumes/create", body });
    await print(io, `${Name}\n`);
    return 0;
  },
});

/** The options of a volume's driver with those of `--size`. */
function withSize(options: Readonly<Record<string, string>>, size: string): Readonly<Record<string, string>> {
  if (size === "") return options;
  if (options["size"] === undefined) return { ...options, size };
  throw new EngineError("invalid", "conflicting options: --size and --opt size");
}

export const inspect = command({
  name: "inspect",
  summary: "Display detailed information on one or more volumes",
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  examples: ["berth volume inspect -f '{{.Mountpoint}}' data"],
  flags: { format: text("Format output using a Go template", { short: "f" }) },
  args: { min: 1 },
  run: ({ flags, args, client }, io) =>
    inspectAll(io, args, {
      format: flags.format,
      get: (name) => client.json({ method: "GET", path: volumePath(name) }),
    }),
});

export const rm = command({
  name: "rm",
  summary: "Remove one or more volumes",
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  examples: ["berth volume rm data"],
  flags: { force: bool("Force the removal of one or more volumes", { short: "f" }) },
  args: { min: 1 },
  run: ({ flags, args, client }, io) =>
    each(io, args, async (name) => {
      await client.status({ method: "DELETE", path: volumePath(name), query: { force: flags.force } });
      return name;
    }),
});

export const prune = command({
  name: "prune",
  summary: "Remove unused local volumes",
  usage: "[OPTIONS]",
  examples: ["berth volume prune -f", "berth volume prune -a -f"],
  flags: {
    all: bool("Remove all unused volumes, not just anonymous ones", { short: "a" }),
    filter: filterFlag('Provide filter values (e.g. "label=<label>")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const which = flags.all ? "" : "anonymous ";
    const warning = `This will remove ${which}local volumes not used by at least one container.`;
    if (!flags.force && !(await confirmed(io, warning))) return 0;
    const all = flags.all ? [["all", "true"] as const] : [];
    const bytes = await pruneAll(io, client, {
      path: "/volumes/prune",
      filters: filtersOf([...flags.filter, ...all]),
      heading: "Deleted Volumes",
      field: "VolumesDeleted",
    });
    await print(io, reclaimed(bytes));
    return 0;
  },
});
