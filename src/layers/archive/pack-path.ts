import { confined, type Flow, FlowWriter, type Job, type JobContext, RegularFiles } from "../../host/mod.ts";
import { tarEnd } from "../../stream/mod.ts";
import { Packer } from "../jobs/packer.ts";
import type { Place } from "./archive.ts";
import { ConfinedRoot } from "./directory.ts";
import { askedPath } from "./path.ts";
import { describe } from "./stat-path.ts";

/** The first piece is the path's stat as JSON, the others are the archive. For `streamJob`. */
export const packPathJob: Job<Place & Flow, void> = {
  name: "packPath",
  run: (input, context) => {
    const writer = new FlowWriter(input, context);
    using files = new RegularFiles();
    confined(input.root, () => {
      using root = new ConfinedRoot(input);
      pack(root, { input, writer, files, context });
    });
    writer.flush();
  },
};

interface Packing {
  readonly input: Place;
  readonly writer: FlowWriter;
  readonly files: RegularFiles;
  readonly context: JobContext;
}

function pack(root: ConfinedRoot, { input, writer, files, context }: Packing): void {
  const path = askedPath(input.path);
  const stat = root.find(path);
  const told = describe(root, { path, stat });
  writer.write(Buffer.from(JSON.stringify({ ...told, mtime: String(told.mtime) })));
  writer.flush();
  // Following a symlink for what it tells has changed the working directory.
  root.find(path);
  const bare = !stat.isDirectory() || root.isHidden(path.base, stat);
  const packer = new Packer({
    layer: false,
    wholeSeconds: true,
    files,
    ...(input.owners && { owners: input.owners }),
    crosses: ({ name, stat: found }) => !root.isHidden(name, found),
    write: (bytes) => writer.write(bytes),
    check: context.check,
  });
  const name = Buffer.from(path.name === "/" ? "" : path.name);
  packer.one(Buffer.from(path.base), name);
  if (bare || root.enter(`${path.full}/.`)) writer.write(tarEnd);
  else packer.run(Buffer.from(path.name === "/" ? "/" : `${path.name}/`));
}
