import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Readable, Writable } from "node:stream";
import { EngineError } from "../../errors/mod.ts";
import { bool, integer, list, text, type Values } from "../../flags/mod.ts";
import { fromBuffer } from "../../stream/mod.ts";
import { command } from "../command.ts";
import { bytesOf, pairs, splitOnce } from "../container/values.ts";
import { type CliIo, print } from "../io.ts";
import { decimalSize } from "../output/units.ts";
import { allAuthHeader } from "../session/auth.ts";
import { confirm, filtersOf } from "../session/each.ts";
import { showProgress } from "../session/progress.ts";
import { directoryContext, dockerfileContext, type SentContext } from "./context.ts";

const buildFlags = {
  "add-host": list("Add a custom host-to-IP mapping (host:ip)"),
  "build-arg": list("Set build-time variables", { placeholder: "NAME[=VALUE]" }),
  "cache-from": list("Images to consider as cache sources"),
  "cgroup-parent": text("Set the parent cgroup for the RUN instructions during build"),
  "cpu-period": integer("Length of a CPU period in microseconds"),
  "cpu-quota": integer("CPU time in microseconds per period"),
  "cpu-shares": integer("CPU shares (relative weight)", { short: "c" }),
  "cpuset-cpus": text("CPUs in which to allow execution (0-3, 0,1)"),
  "cpuset-mems": text("Memory nodes in which to allow execution (0-3, 0,1)"),
  file: text("Name of the Dockerfile (default: PATH/Dockerfile); - for standard input", { short: "f" }),
  iidfile: text("Write the image ID to the file", { placeholder: "FILE" }),
  label: list("Set metadata for an image", { placeholder: "KEY=VALUE" }),
  memory: text("Memory limit", { short: "m", placeholder: "bytes" }),
  "memory-swap": text("Memory plus swap; -1 for unlimited swap", { placeholder: "bytes" }),
  network: text("Networking mode for the RUN instructions during build", { initial: "default" }),
  "no-cache": bool("Do not use cache when building the image"),
  platform: text("Set platform if server is multi-platform capable"),
  pull: bool("Always attempt to pull a newer version of the image"),
  quiet: bool("Suppress the build output and print image ID on success", { short: "q" }),
  "shm-size": text("Size of /dev/shm", { placeholder: "bytes" }),
  tag: list('Name and optionally a tag (format: "name:tag")', { short: "t" }),
  target: text("Set the target build stage to build"),
  ulimit: list("Ulimit options", { placeholder: "NAME=SOFT[:HARD]" }),
};

export const build = command({
  name: "build",
  summary: "Build an image from a Dockerfile",
  usage: "[OPTIONS] PATH | URL | -",
  examples: ["berth build -t app:1.0 .", "berth build --target builder --build-arg VERSION=2 -f docker/Dockerfile ."],
  flags: buildFlags,
  args: { min: 1, max: 1 },
  async run({ flags, args: [source = ""], client }, io) {
    const remote = /^(https?:\/\/|git:\/\/|git@|github\.com\/)/.test(source);
    const context = remote ? undefined : await contextOf(source, flags.file, io);
    const lines = client.lines({
      method: "POST",
      path: "/build",
      query: {
        ...query(flags, io),
        dockerfile: context?.dockerfile ?? (flags.file || undefined),
        remote: remote ? source : undefined,
      },
      bytes: context?.bytes ?? new Uint8Array(),
      contentType: "application/x-tar",
      headers: allAuthHeader(io),
    });
    const aux = await showProgress(lines, flags.quiet ? new Hidden() : io.stdout);
    const id = aux.map((one) => (one as { ID?: string }).ID).findLast((one) => one !== undefined) ?? "";
    if (flags.quiet) await print(io, `${id}\n`);
    if (flags.iidfile) writeFileSync(resolve(io.cwd, flags.iidfile), id);
    return 0;
  },
});

/** Where `--quiet` sends what nobody wants to see. */
class Hidden extends Writable {
  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done();
  }
}

async function contextOf(source: string, file: string, io: CliIo): Promise<SentContext> {
  if (source === "-") {
    if (file === "-")
      throw new EngineError("invalid", "invalid argument: can't use stdin for both build context and dockerfile");
    return stdinContext(io.stdin, file);
  }
  if (file === "-")
    throw new EngineError(
      "not-implemented",
      "a Dockerfile from standard input beside a context is not supported yet: use -f FILE",
    );
  return directoryContext({ directory: source, file, cwd: io.cwd });
}

/** An archive goes out as it comes in; anything else is a Dockerfile (docker looks at the first bytes as well). */
async function stdinContext(stdin: Readable, file: string): Promise<SentContext> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(chunk as Uint8Array);
  const bytes = Buffer.concat(chunks);
  const tar = bytes.subarray(257, 262).toString() === "ustar";
  const packed = ["1f8b", "28b52ffd", "425a68", "fd377a585a"].some((magic) =>
    bytes.toString("hex", 0, 5).startsWith(magic),
  );
  if (!tar && !packed) return dockerfileContext(bytes);
  return { bytes: fromBuffer(bytes), dockerfile: file || "Dockerfile" };
}

function query(flags: Values<typeof buildFlags>, io: CliIo) {
  const args = Object.fromEntries(
    flags["build-arg"].map((one) => {
      const [name, value] = splitOnce(one, "=");
      return [name, value ?? io.env[name] ?? null];
    }),
  );
  return {
    t: flags.tag,
    buildargs: JSON.stringify(args),
    labels: JSON.stringify(pairs(flags.label)),
    cachefrom: JSON.stringify(flags["cache-from"]),
    extrahosts: flags["add-host"].map((one) => one.replace("=", ":")),
    networkmode: flags.network,
    nocache: flags["no-cache"],
    platform: flags.platform || undefined,
    pull: flags.pull ? "1" : undefined,
    q: flags.quiet,
    rm: true,
    target: flags.target || undefined,
    cgroupparent: flags["cgroup-parent"] || undefined,
    cpuperiod: flags["cpu-period"],
    cpuquota: flags["cpu-quota"],
    cpushares: flags["cpu-shares"],
    cpusetcpus: flags["cpuset-cpus"] || undefined,
    cpusetmems: flags["cpuset-mems"] || undefined,
    memory: bytesOf("memory", flags.memory) || undefined,
    memswap: bytesOf("memory-swap", flags["memory-swap"]) || undefined,
    shmsize: bytesOf("shm-size", flags["shm-size"]) || undefined,
    ulimits: flags.ulimit.length > 0 ? JSON.stringify(flags.ulimit.map(ulimitOf)) : undefined,
  };
}

function ulimitOf(given: string): { Name: string; Soft: number; Hard: number } {
  const [Name, limits = ""] = splitOnce(given, "=");
  const [soft, hard = soft] = splitOnce(limits, ":");
  return { Name, Soft: Number(soft), Hard: Number(hard) };
}

export const builderPrune = command({
  name: "prune",
  summary: "Remove build cache",
  usage: "[OPTIONS]",
  examples: ["berth builder prune -f"],
  flags: {
    all: bool("Remove all unused build cache, not just dangling ones", { short: "a" }),
    filter: list('Provide filter values (e.g. "until=24h")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    if (!flags.force) await confirm(io, "WARNING! This will remove all build cache that no image uses.");
    const answer = await client.json<{ CachesDeleted: string[] | null; SpaceReclaimed: number }>({
      method: "POST",
      path: "/build/prune",
      query: { all: flags.all, filters: filtersOf(flags.filter) },
    });
    for (const one of answer.CachesDeleted ?? []) await print(io, `${one}\n`);
    await print(io, `Total:\t${decimalSize(answer.SpaceReclaimed)}\n`);
    return 0;
  },
});
