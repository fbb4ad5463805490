import { bool, list, text } from "../../flags/mod.ts";
import type { ImageDeleteItem, ImageHistoryItem, ImageSummary } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { colours, print } from "../io.ts";
import { type Column, renderList } from "../output/table.ts";
import { ago, decimalSize, ellipsis, shortId } from "../output/units.ts";
import { confirm, each, filtersOf } from "../session/each.ts";
import { inspectAll } from "../session/inspect.ts";
import { splitImage } from "../session/pull.ts";

/** Image names keep their slashes in paths. */
export const imagePath = (name: string, rest = "") =>
  `/images/${name.split("/").map(encodeURIComponent).join("/")}${rest}`;

interface Row {
  readonly image: ImageSummary;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

const columns = (full: boolean): Column<Row>[] => [
  { name: "Repository", heading: "REPOSITORY", value: (row) => row.repository, shrinks: true },
  { name: "Tag", heading: "TAG", value: (row) => row.tag },
  { name: "Digest", heading: "DIGEST", value: (row) => row.digest },
  { name: "ID", heading: "IMAGE ID", value: (row) => (full ? row.image.Id : shortId(row.image.Id)) },
  { name: "CreatedSince", heading: "CREATED", value: (row) => ago(row.image.Created) },
  { name: "CreatedAt", heading: "CREATED AT", value: (row) => new Date(row.image.Created * 1000).toISOString() },
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
    filter: list("Filter output based on conditions provided", { short: "f" }),
    format: text("Format output: table, json, or a Go template"),
    "no-trunc": bool("Don't truncate output"),
    quiet: bool("Only show image IDs", { short: "q" }),
  },
  args: { min: 0, max: 1 },
  async run({ flags, args: [reference], client }, io) {
    const filters = filtersOf([...flags.filter, ...(reference ? [`reference=${reference}`] : [])]);
    const images = await client.json<ImageSummary[]>({
      method: "GET",
      path: "/images/json",
      query: { all: flags.all, filters },
    });
    const rows = images.flatMap((image) => rowsOf(image, flags.digests));
    const shown = ["Repository", "Tag", ...(flags.digests ? ["Digest"] : []), "ID", "CreatedSince", "Size"];
    const format = flags.quiet && !flags.format ? "{{.ID}}" : flags.format;
    await print(
      io,
      renderList(rows, {
        columns: columns(flags["no-trunc"]),
        shown,
        format,
        width: io.stdout.columns,
        bold: colours(io),
      }),
    );
    return 0;
  },
});

function rowsOf(image: ImageSummary, digests: boolean): Row[] {
  const digestOf = (name: string) =>
    image.RepoDigests.find((one) => one.startsWith(`${name}@`))?.split("@")[1] ?? "<none>";
  const tagged = image.RepoTags.filter((one) => one !== "<none>:<none>").map((one) => {
    const { name, tag } = splitImage(one);
    return { image, repository: name, tag, digest: digestOf(name) };
  });
  if (tagged.length > 0) return tagged;
  const [name = "<none>", digest = "<none>"] = (image.RepoDigests[0] ?? "").split("@");
  return [{ image, repository: name || "<none>", tag: "<none>", digest: digests ? digest : "<none>" }];
}

export const rm = command({
  name: "rm",
  summary: "Remove one or more images",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  examples: ["berth rmi app:1.0"],
  flags: {
    force: bool("Force removal of the image", { short: "f" }),
    "no-prune": bool("Do not delete untagged parents"),
  },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    return each(io, args, async (name) => {
      const query = { force: flags.force, noprune: flags["no-prune"] };
      const items = await client.json<ImageDeleteItem[]>({ method: "DELETE", path: imagePath(name), query });
      return items.map(itemText).join("\n");
    });
  },
});

function itemText(item: ImageDeleteItem): string {
  return item.Untagged === undefined ? `Deleted: ${item.Deleted}` : `Untagged: ${item.Untagged}`;
}

export const tag = command({
  name: "tag",
  summary: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  examples: ["berth tag app localhost:5000/team/app:1.0"],
  flags: {},
  args: { min: 2, max: 2 },
  run({ args: [source = "", target = ""], client }) {
    const { name, tag: to } = splitImage(target);
    return client
      .status({ method: "POST", path: imagePath(source, "/tag"), query: { repo: name, tag: to || "latest" } })
      .then(() => 0);
  },
});

export const inspect = command({
  name: "inspect",
  summary: "Display detailed information on one or more images",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  examples: ["berth image inspect -f '{{.Config.Cmd}}' nginx"],
  flags: { format: text("Format output using a Go template", { short: "f" }) },
  args: { min: 1 },
  run: ({ flags, args, client }, io) =>
    inspectAll(io, args, {
      format: flags.format,
      get: (name) => client.json({ method: "GET", path: imagePath(name, "/json") }),
    }),
});

const historyColumns = (full: boolean, human: boolean): Column<ImageHistoryItem>[] => [
  { name: "ID", heading: "IMAGE", value: (row) => (full || row.Id === "<missing>" ? row.Id : shortId(row.Id)) },
  {
    name: "CreatedSince",
    heading: "CREATED",
    value: (row) => (human ? ago(row.Created) : new Date(row.Created * 1000).toISOString()),
  },
  { name: "CreatedAt", heading: "CREATED AT", value: (row) => new Date(row.Created * 1000).toISOString() },
  {
    name: "CreatedBy",
    heading: "CREATED BY",
    value: (row) => (full ? row.CreatedBy : ellipsis(row.CreatedBy.replace(/\s+/g, " "), 45)),
    shrinks: !full,
  },
  { name: "Size", heading: "SIZE", value: (row) => (human ? decimalSize(row.Size) : String(row.Size)) },
  { name: "Comment", heading: "COMMENT", value: (row) => row.Comment },
];

export const history = command({
  name: "history",
  summary: "Show the history of an image",
  usage: "[OPTIONS] IMAGE",
  examples: ["berth history --no-trunc nginx"],
  flags: {
    format: text("Format output: table, json, or a Go template"),
    human: bool("Print sizes and dates in human readable format", { short: "H", initial: true }),
    "no-trunc": bool("Don't truncate output"),
    quiet: bool("Only show image IDs", { short: "q" }),
  },
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ""], client }, io) {
    const rows = await client.json<ImageHistoryItem[]>({ method: "GET", path: imagePath(name, "/history") });
    const shown = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"];
    const format = flags.quiet && !flags.format ? "{{.ID}}" : flags.format;
    const width = flags["no-trunc"] ? undefined : io.stdout.columns;
    await print(
      io,
      renderList(rows, {
        columns: historyColumns(flags["no-trunc"], flags.human),
        shown,
        format,
        width,
        bold: colours(io),
      }),
    );
    return 0;
  },
});

export const prune = command({
  name: "prune",
  summary: "Remove unused images",
  usage: "[OPTIONS]",
  examples: ["berth image prune -a -f"],
  flags: {
    all: bool("Remove all unused images, not just dangling ones", { short: "a" }),
    filter: list('Provide filter values (e.g. "until=<timestamp>")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const what = flags.all ? "all images without at least one container associated to them" : "all dangling images";
    if (!flags.force) await confirm(io, `WARNING! This will remove ${what}.`);
    const filters = filtersOf([...flags.filter, `dangling=${!flags.all}`]);
    const answer = await client.json<{ ImagesDeleted: ImageDeleteItem[] | null; SpaceReclaimed: number }>({
      method: "POST",
      path: "/images/prune",
      query: { filters },
    });
    const deleted = answer.ImagesDeleted ?? [];
    if (deleted.length > 0) await print(io, `Deleted Images:\n${deleted.map(itemText).join("\n")}\n\n`);
    await print(io, `Total reclaimed space: ${decimalSize(answer.SpaceReclaimed)}\n`);
    return 0;
  },
});
