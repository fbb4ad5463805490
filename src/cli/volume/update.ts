import { EngineError } from "../../errors/mod.ts";
import { list, text } from "../../flags/mod.ts";
import { command } from "../command.ts";
import { pairs } from "../container/values.ts";
import { print } from "../io.ts";
import { volumePath } from "./path.ts";

export const resize = command({
  name: "resize",
  summary: "Change the size limit of a volume, also while it is used",
  usage: "VOLUME SIZE",
  examples: ["berth volume resize data 20g"],
  flags: {},
  args: { min: 2, max: 2 },
  async run({ args: [name = "", Size], client }, io) {
    await client.json({ method: "POST", path: volumePath(name, "/update"), body: { Size } });
    await print(io, `${name}\n`);
    return 0;
  },
});

export const update = command({
  name: "update",
  summary: "Change a volume's labels and its size limit",
  usage: "[OPTIONS] VOLUME",
  examples: ["berth volume update --label-add stage=test --label-rm old --size 20g data"],
  flags: {
    "label-add": list("Add or change a label", { placeholder: "KEY=VALUE" }),
    "label-rm": list("Remove a label", { placeholder: "KEY" }),
    size: text("The most that its files may have (for a volume that was created with a size)"),
  },
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ""], client }, io) {
    const gone = Object.fromEntries(flags["label-rm"].map((key) => [key, null]));
    const Labels = { ...gone, ...pairs(flags["label-add"]) };
    if (!flags.size && Object.keys(Labels).length === 0) {
      throw new EngineError("invalid", "nothing to update: give --size, --label-add or --label-rm");
    }
    const body = { ...(flags.size && { Size: flags.size }), Labels };
    await client.json({ method: "POST", path: volumePath(name, "/update"), body });
    await print(io, `${name}\n`);
    return 0;
  },
});
