import { text } from "../../flags/mod.ts";
import { command } from "../command.ts";
import { print, tell } from "../io.ts";
import { formatted } from "../output/format.ts";
import { infoText, type SystemInfo, warningsOf } from "./info-text.ts";

export const info = command({
  name: "info",
  summary: "Display system-wide information",
  usage: "[OPTIONS]",
  examples: ["berth info -f '{{.CgroupVersion}}'"],
  flags: { format: text("Format output: json, or a Go template", { short: "f" }) },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const answer = await client.json<SystemInfo>({ method: "GET", path: "/info" });
    await print(io, flags.format ? formatted(answer, flags.format) : infoText(answer));
    if (!flags.format)
      await tell(
        io,
        warningsOf(answer)
          .map((one) => `${one}\n`)
          .join(""),
      );
    return 0;
  },
});
