import { bool, list, text } from "../../flags/mod.ts";
import { command } from "../command.ts";
import { print } from "../io.ts";
import { splitImage } from "../session/pull.ts";

export const commit = command({
  name: "commit",
  summary: "Create a new image from a container's changes",
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  examples: ["berth commit -c 'CMD [\"sh\"]' web web:saved"],
  flags: {
    author: text('Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', { short: "a" }),
    change: list("Apply Dockerfile instruction to the created image", { short: "c" }),
    message: text("Commit message", { short: "m" }),
    pause: bool("Pause container during commit", { short: "p", initial: true }),
  },
  args: { min: 1, max: 2 },
  async run({ flags, args: [container = "", target = ""], client }, io) {
    const { name, tag } = splitImage(target);
    const query = {
      container,
      repo: name || undefined,
      tag: tag || undefined,
      author: flags.author || undefined,
      comment: flags.message || undefined,
      changes: flags.change,
      pause: flags.pause,
    };
    const { Id } = await client.json<{ Id: string }>({ method: "POST", path: "/commit", query, body: {} });
    await print(io, `${Id}\n`);
    return 0;
  },
});
