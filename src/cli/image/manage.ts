import { bool, list, text } from "../../flags/mod.ts";
import type { ImageDeleteItem } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { print } from "../io.ts";
import { each } from "../session/each.ts";
import { filterFlag, filtersOf } from "../session/filters.ts";
import { inspectAll } from "../session/inspect.ts";
import { confirmed, prune as pruneAll, reclaimed } from "../session/prune.ts";
import { splitImage } from "../session/pull.ts";
import { platformJson } from "./list.ts";
import { imagePath } from "./path.ts";

export const rm = command({
  name: "rm",
  summary: "Remove one or more images",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  examples: ["berth rmi app:1.0"],
  flags: {
    force: bool("Force removal of the image", { short: "f" }),
    "no-prune": bool("Do not delete untagged parents"),
    platform: list("Remove only the given platform variant"),
  },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    const query = { force: flags.force, noprune: flags["no-prune"], platforms: flags.platform.map(platformJson) };
    return each(io, args, async (name) => {
      const items = await client.json<ImageDeleteItem[]>({ method: "DELETE", path: imagePath(name), query });
      return items.map(deletedText).join("\n");
    });
  },
});

export function deletedText({ Untagged, Deleted }: ImageDeleteItem): string {
  return Untagged === undefined ? `Deleted: ${Deleted}` : `Untagged: ${Untagged}`;
}

export const tag = command({
  name: "tag",
  summary: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  examples: ["berth tag app localhost:5000/team/app:1.0"],
  flags: {},
  args: { min: 2, max: 2 },
  async run({ args: [source = "", target = ""], client }) {
    const { name, tag: to } = splitImage(target);
    const query = { repo: name, tag: to || "latest" };
    await client.status({ method: "POST", path: imagePath(source, "/tag"), query });
    return 0;
  },
});

export const inspect = command({
  name: "inspect",
  summary: "Display detailed information on one or more images",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  examples: ["berth image inspect -f '{{.Config.Cmd}}' nginx"],
  flags: {
    format: text("Format output using a Go template", { short: "f" }),
    platform: text("Inspect a specific platform of the multi-platform image"),
  },
  args: { min: 1 },
  run: ({ flags, args, client }, io) => {
    const query = { platform: flags.platform ? platformJson(flags.platform) : undefined };
    return inspectAll(io, args, {
      format: flags.format,
      get: (name) => client.json({ method: "GET", path: imagePath(name, "/json"), query }),
    });
  },
});

export const prune = command({
  name: "prune",
  summary: "Remove unused images",
  usage: "[OPTIONS]",
  examples: ["berth image prune -a -f"],
  flags: {
    all: bool("Remove all unused images, not just dangling ones", { short: "a" }),
    filter: filterFlag('Provide filter values (e.g. "until=<timestamp>")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const what = flags.all ? "all images without at least one container associated to them" : "all dangling images";
    if (!flags.force && !(await confirmed(io, `This will remove ${what}.`))) return 0;
    const bytes = await pruneAll(io, client, {
      path: "/images/prune",
      filters: filtersOf([...flags.filter, ["dangling", String(!flags.all)]]),
      heading: "Deleted Images",
      field: "ImagesDeleted",
      line: deletedText,
    });
    await print(io, reclaimed(bytes));
    return 0;
  },
});
