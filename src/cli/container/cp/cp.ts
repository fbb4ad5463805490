import { EngineError } from "../../../errors/mod.ts";
import { bool } from "../../../flags/mod.ts";
import { command } from "../../command.ts";
import { splitArgument } from "./paths.ts";

export const cp = command({
  name: "cp",
  summary: "Copy files/folders between a container and the local filesystem",
  usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n        berth cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
  examples: ["berth cp web:/etc/nginx/nginx.conf .", "berth cp site/. web:/usr/share/nginx/html"],
  flags: {
    archive: bool("Archive mode (copy all uid/gid information)", { short: "a" }),
    "follow-link": bool("Always follow symbol link in SRC_PATH", { short: "L" }),
    quiet: bool(
      "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached",
      { short: "q" },
    ),
  },
  args: { min: 2, max: 2 },
  async run({ flags, given, args: [source = "", destination = ""], client }, io) {
    if (source === "") throw new EngineError("invalid", "source can not be empty");
    if (destination === "") throw new EngineError("invalid", "destination can not be empty");
    const [from, to] = [splitArgument(source), splitArgument(destination)];
    if (from.container && to.container) throw new EngineError("invalid", "copying between containers is not supported");
    const { archive, "follow-link": followLink } = flags;
    const quiet = given.has("quiet") ? flags.quiet : !io.stdout.isTTY;
    const common = { source: from.path, destination: to.path, archive, followLink, quiet };
    if (from.container) {
      const { copyFrom } = await import("./from.ts"); // archives bring zlib along, which is 5 ms of a start
      await copyFrom(client, io, { ...common, container: from.container });
    } else if (to.container) {
      const { copyTo } = await import("./to.ts");
      await copyTo(client, io, { ...common, container: to.container });
    } else throw new EngineError("invalid", "must specify at least one container source");
    return 0;
  },
});
