import { bool, text } from "../../flags/mod.ts";
import type { FilesystemChange, TopAnswer } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { print } from "../io.ts";
import { deliver } from "../output/save.ts";
import { showList } from "../output/table.ts";
import { inspectAll } from "../session/inspect.ts";
import { containerPath } from "./path.ts";

/** Commands that look at one container. */

export const inspect = command({
  name: "inspect",
  summary: "Display detailed information on one or more containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth container inspect -f '{{.State.Status}}' web"],
  flags: {
    format: text("Format output using a Go template", { short: "f" }),
    size: bool("Display total file sizes", { short: "s" }),
  },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    return inspectAll(io, args, {
      format: flags.format,
      get: (name) => client.json({ method: "GET", path: containerPath(name, "/json"), query: { size: flags.size } }),
    });
  },
});

const changeLetters = ["C", "A", "D"] as const;

export const diff = command({
  name: "diff",
  summary: "Inspect changes to files or directories on a container's filesystem",
  usage: "CONTAINER",
  examples: ["berth diff web"],
  flags: {},
  args: { min: 1, max: 1 },
  async run({ args: [name = ""], client }, io) {
    const path = containerPath(name, "/changes");
    const changes = await client.json<FilesystemChange[] | null>({ method: "GET", path });
    await print(io, (changes ?? []).map(({ Kind, Path }) => `${changeLetters[Kind]} ${Path}\n`).join(""));
    return 0;
  },
});

export const top = command({
  name: "top",
  summary: "Display the running processes of a container",
  usage: "CONTAINER [ps OPTIONS]",
  examples: ["berth top web", "berth top web -eo pid,comm"],
  flags: {},
  args: { min: 1 },
  interspersed: false,
  async run({ args: [name = "", ...options], client }, io) {
    const query = { ps_args: options.join(" ") || undefined };
    const { Titles, Processes } = await client.json<TopAnswer>({
      method: "GET",
      path: containerPath(name, "/top"),
      query,
    });
    // Columns by number: `ps` may print the same title twice.
    const columns = Titles.map((heading, index) => ({
      name: String(index),
      heading,
      value: (row: readonly string[]) => row[index] ?? "",
    }));
    return showList(io, Processes, { columns, shown: columns.map(({ name }) => name), format: "", full: true });
  },
});

export const exportContainer = command({
  name: "export",
  summary: "Export a container's filesystem as a tar archive",
  usage: "[OPTIONS] CONTAINER",
  examples: ["berth export -o web.tar web"],
  flags: { output: text("Write to a file, instead of STDOUT", { short: "o", placeholder: "FILE" }) },
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ""], client }, io) {
    const request = { method: "GET", path: containerPath(name, "/export") } as const;
    await deliver(io, flags.output, async () => (await client.stream(request)).bytes);
    return 0;
  },
});
