import { bool, choice, text } from "../../flags/mod.ts";
import { command } from "../command.ts";
import { containerPath } from "../container/path.ts";
import { imagePath } from "../image/path.ts";
import { networkPath } from "../network/path.ts";
import { firstFound, inspectAll } from "../session/inspect.ts";

const kinds = ["container", "image", "network", "volume"] as const;
type Kind = (typeof kinds)[number];

const anyKind: readonly ("" | Kind)[] = ["", ...kinds];

const pathOf: Readonly<Record<Kind, (name: string) => string>> = {
  container: (name) => containerPath(name, "/json"),
  image: (name) => imagePath(name, "/json"),
  network: networkPath,
  volume: (name) => `/volumes/${encodeURIComponent(name)}`,
};

export const inspect = command({
  name: "inspect",
  summary: "Return low-level information on any object",
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  examples: ["berth inspect -f '{{.NetworkSettings.IPAddress}}' web"],
  flags: {
    format: text("Format output using a Go template", { short: "f" }),
    size: bool("Display total file sizes if the type is container", { short: "s" }),
    type: choice<"" | Kind>("Only inspect objects of the given type", { of: anyKind, initial: "" }),
  },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    const get = (name: string) => (kind: Kind) => () =>
      client.json({ method: "GET", path: pathOf[kind](name), query: { size: kind === "container" && flags.size } });
    const { type } = flags;
    const found = (name: string) => (type === "" ? firstFound(name, kinds.map(get(name))) : get(name)(type)());
    return inspectAll(io, args, { format: flags.format, get: found });
  },
});
