import { createReadStream, statSync } from "node:fs";
import { resolve } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { bool, list, text } from "../../flags/mod.ts";
import type { ProgressMessage } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { copied } from "../container/cp/progress.ts";
import { pairs } from "../container/values.ts";
import { type CliIo, print } from "../io.ts";
import { deliver } from "../output/save.ts";
import { showProgress, withoutProgress } from "../session/progress.ts";
import { volumePath } from "./path.ts";

/** What Berth can do with volumes beside what docker can. */

export const rename = command({
  name: "rename",
  summary: "Rename a volume, also in the containers that have it",
  usage: "VOLUME NEW_NAME",
  examples: ["berth volume rename data data-old"],
  flags: {},
  args: { min: 2, max: 2 },
  async run({ args: [from = "", to = ""], client }, io) {
    await client.status({ method: "POST", path: volumePath(from, "/rename"), query: { name: to } });
    await print(io, `${to}\n`);
    return 0;
  },
});

export const exportVolume = command({
  name: "export",
  summary: "Export a volume's files as a tar archive (streamed to STDOUT by default)",
  usage: "[OPTIONS] VOLUME",
  examples: ["berth volume export -o data.tar data", "berth volume export --zstd -o data.tar.zst data"],
  flags: {
    output: text("Write to a file, instead of STDOUT", { short: "o", placeholder: "FILE" }),
    zstd: bool("Compress the archive with zstd"),
  },
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ""], client }, io) {
    const progress = copied(io, { header: `Exporting ${name} - `, quiet: false });
    const query = { compression: flags.zstd ? "zstd" : undefined };
    const request = { method: "GET", path: volumePath(name, "/export"), query } as const;
    try {
      await deliver(io, flags.output, async () => progress.count((await client.stream(request)).bytes));
    } finally {
      progress.stop();
    }
    return 0;
  },
});

export const importVolume = command({
  name: "import",
  summary: "Fill a volume with a tar archive's files, from a file or STDIN; one that is missing is made",
  usage: "[OPTIONS] VOLUME [FILE|-]",
  examples: ["berth volume import data data.tar", "berth volume import --force data data.tar.zst"],
  flags: { force: bool("Replace what the volume has", { short: "f" }) },
  args: { min: 1, max: 2 },
  async run({ flags, args: [name = "", file = "-"], client }, io) {
    const progress = copied(io, { header: `Importing ${name} - `, quiet: false });
    try {
      await client.json({
        method: "POST",
        path: volumePath(name, "/import"),
        query: { force: flags.force },
        bytes: progress.count(archive(io, file)),
        contentType: "application/x-tar",
      });
    } finally {
      progress.stop();
    }
    await print(io, `${name}\n`);
    return 0;
  },
});

function archive(io: CliIo, file: string): AsyncIterable<Uint8Array> {
  if (file === "-") {
    if (io.stdin.isTTY) throw new EngineError("invalid", "name a file, or redirect an archive to standard input");
    return io.stdin;
  }
  const path = resolve(io.cwd, file);
  if (!statSync(path, { throwIfNoEntry: false }))
    throw new EngineError("invalid", `open ${file}: no such file or directory`);
  return createReadStream(path);
}

export const clone = command({
  name: "clone",
  summary: "Make a volume with the same files as another",
  usage: "[OPTIONS] VOLUME NEW_VOLUME",
  examples: ["berth volume clone data data-copy", "berth volume clone --size 100g data larger"],
  flags: {
    label: list("Set metadata for the new volume", { placeholder: "KEY=VALUE" }),
    size: text("The most that the new volume's files may have (default: as the source)"),
  },
  args: { min: 2, max: 2 },
  async run({ flags, args: [from = "", Name = ""], client }, io) {
    const DriverOpts = flags.size ? { size: flags.size } : {};
    const body = { Name, Labels: pairs(flags.label), DriverOpts };
    const lines = client.lines<ProgressMessage>({ method: "POST", path: volumePath(from, "/clone"), body });
    await showProgress(io.stderr.isTTY ? lines : withoutProgress(lines), io.stderr);
    await print(io, `${Name}\n`);
    return 0;
  },
});
