import { EngineError } from "../../errors/mod.ts";
import { bool, list, text } from "../../flags/mod.ts";
import type { VolumeInspect } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { pairs } from "../container/values.ts";
import { colours, print } from "../io.ts";
import { type Column, renderList } from "../output/table.ts";
import { decimalSize } from "../output/units.ts";
import { confirm, each, filtersOf } from "../session/each.ts";
import { inspectAll } from "../session/inspect.ts";

const at = (name: string) => `/volumes/${encodeURIComponent(name)}`;

const columns: readonly Column<VolumeInspect>[] = [
  { name: "Driver", heading: "DRIVER", value: (row) => row.Driver },
  { name: "Name", heading: "VOLUME NAME", value: (row) => row.Name, shrinks: true },
  { name: "Mountpoint", heading: "MOUNTPOINT", value: (row) => row.Mountpoint },
  { name: "Scope", heading: "SCOPE", value: (row) => row.Scope },
  {
    name: "Labels",
    heading: "LABELS",
    value: (row) =>
      Object.entries(row.Labels ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .join(","),
  },
];

export const ls = command({
  name: "ls",
  summary: "List volumes",
  usage: "[OPTIONS]",
  examples: ["berth volume ls --filter dangling=true"],
  flags: {
    filter: list('Provide filter values (e.g. "dangling=true")', { short: "f" }),
    format: text("Format output: table, json, or a Go template"),
    quiet: bool("Only display volume names", { short: "q" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const answer = await client.json<{ Volumes: VolumeInspect[] | null }>({
      method: "GET",
      path: "/volumes",
      query: { filters: filtersOf(flags.filter) },
    });
    const rows = (answer.Volumes ?? []).toSorted((a, b) => (a.Name < b.Name ? -1 : 1));
    const format = flags.quiet && !flags.format ? "{{.Name}}" : flags.format;
    await print(
      io,
      renderList(rows, { columns, shown: ["Driver", "Name"], format, width: io.stdout.columns, bold: colours(io) }),
    );
    return 0;
  },
});

export const create = command({
  name: "create",
  summary: "Create a volume",
  usage: "[OPTIONS] [VOLUME]",
  examples: ["berth volume create data"],
  flags: {
    driver: text("Specify volume driver name", { short: "d", initial: "local" }),
    label: list("Set metadata for a volume", { placeholder: "KEY=VALUE" }),
    name: text("Specify volume name"),
    opt: list("Set driver specific options", { short: "o", placeholder: "KEY=VALUE" }),
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
      DriverOpts: pairs(flags.opt),
      Labels: pairs(flags.label),
    };
    const { Name } = await client.json<VolumeInspect>({ method: "POST", path: "/volumes/create", body });
    await print(io, `${Name}\n`);
    return 0;
  },
});

export const inspect = command({
  name: "inspect",
  summary: "Display detailed information on one or more volumes",
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  examples: ["berth volume inspect -f '{{.Mountpoint}}' data"],
  flags: { format: text("Format output using a Go template", { short: "f" }) },
  args: { min: 1 },
  run: ({ flags, args, client }, io) =>
    inspectAll(io, args, { format: flags.format, get: (name) => client.json({ method: "GET", path: at(name) }) }),
});

export const rm = command({
  name: "rm",
  summary: "Remove one or more volumes",
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  examples: ["berth volume rm data"],
  flags: { force: bool("Force the removal of one or more volumes", { short: "f" }) },
  args: { min: 1 },
  run: ({ flags, args, client }, io) =>
    each(io, args, (name) =>
      client.status({ method: "DELETE", path: at(name), query: { force: flags.force } }).then(() => name),
    ),
});

export const prune = command({
  name: "prune",
  summary: "Remove unused local volumes",
  usage: "[OPTIONS]",
  examples: ["berth volume prune -f", "berth volume prune -a -f"],
  flags: {
    all: bool("Remove all unused volumes, not just anonymous ones", { short: "a" }),
    filter: list('Provide filter values (e.g. "label=<label>")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const which = flags.all ? "" : "anonymous ";
    if (!flags.force)
      await confirm(io, `WARNING! This will remove ${which}local volumes not used by at least one container.`);
    const filters = filtersOf([...flags.filter, ...(flags.all ? ["all=true"] : [])]);
    const answer = await client.json<{ VolumesDeleted: string[] | null; SpaceReclaimed: number }>({
      method: "POST",
      path: "/volumes/prune",
      query: { filters },
    });
    const deleted = answer.VolumesDeleted ?? [];
    if (deleted.length > 0) await print(io, `Deleted Volumes:\n${deleted.join("\n")}\n\n`);
    await print(io, `Total reclaimed space: ${decimalSize(answer.SpaceReclaimed)}\n`);
    return 0;
  },
});
