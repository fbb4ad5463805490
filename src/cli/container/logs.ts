import { bool, text } from "../../flags/mod.ts";
import type { ContainerInspect } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { copyOutput } from "../session/streams.ts";
import { containerPath } from "./path.ts";

export const logs = command({
  name: "logs",
  summary: "Fetch the logs of a container",
  usage: "[OPTIONS] CONTAINER",
  examples: ["berth logs -f --tail 100 web", "berth logs --since 10m --timestamps web"],
  flags: {
    details: bool("Show extra details provided to logs"),
    follow: bool("Follow log output", { short: "f" }),
    since: text('Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'),
    tail: text("Number of lines to show from the end of the logs", { short: "n", initial: "all" }),
    timestamps: bool("Show timestamps", { short: "t" }),
    until: text('Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'),
  },
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ""], client }, io) {
    const { Id, Config } = await client.json<ContainerInspect>({ method: "GET", path: containerPath(name, "/json") });
    const { details, follow, tail, timestamps } = flags;
    const time = { since: flags.since || undefined, until: flags.until || undefined };
    const query = { stdout: true, stderr: true, details, follow, tail, timestamps, ...time };
    const { bytes } = await client.stream({ method: "GET", path: containerPath(Id, "/logs"), query });
    await copyOutput(bytes, { io, tty: Config.Tty });
    return 0;
  },
});
