import { rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Client, ClientRequest } from "../../client/mod.ts";
import { EngineError, messageOf } from "../../errors/mod.ts";
import { bool, parseBytes, value } from "../../flags/mod.ts";
import type { CheckResult, ProgressMessage } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { type CliIo, print, tell } from "../io.ts";
import { decimalSize } from "../output/units.ts";
import { allAuthHeader } from "../session/auth.ts";
import { filterFlag, filtersOf } from "../session/filters.ts";
import { codeOf, showProgress, withoutProgress } from "../session/progress.ts";
import { confirmed } from "../session/prune.ts";
import { buildFlags, buildQuery } from "./build-flags.ts";
import type { SentContext } from "./context.ts";

export const build = command({
  name: "build",
  summary: "Build an image from a Dockerfile",
  usage: "[OPTIONS] PATH | URL | -",
  examples: ["berth build -t app:1.0 .", "berth build --target builder --build-arg VERSION=2 -f docker/Dockerfile ."],
  flags: buildFlags,
  args: { min: 1, max: 1 },
  async run({ flags, args: [source = ""], client }, io) {
    const remote = /^(https?:\/\/|git:\/\/|git@|github\.com\/)/.test(source);
    if (flags.iidfile) rmSync(resolve(io.cwd, flags.iidfile), { force: true }); // an old one must not look like ours
    const context = remote ? undefined : await contextOf(source, flags.file, io);
    const dockerfile = context?.dockerfile ?? (flags.file || undefined);
    const request: ClientRequest = {
      method: "POST",
      path: "/build",
      query: { ...buildQuery(flags, io), dockerfile, remote: remote ? source : undefined },
      bytes: context?.bytes ?? new Uint8Array(),
      contentType: "application/x-tar",
      headers: allAuthHeader(io),
    };
    if (flags.check) return await showCheck(client, { io, request });
    const lines = client.lines(request);
    try {
      const id = await showBuild(lines, io, flags.quiet);
      if (flags.iidfile) writeFileSync(resolve(io.cwd, flags.iidfile), id);
      return 0;
    } catch (err) {
      const code = codeOf(err);
      if (code === undefined) throw err;
      await tell(io, `${messageOf(err)}\n`);
      return code;
    }
  },
});

/** Prints what the checks say; 1 when that is anything. */
async function showCheck(client: Client, { io, request }: { io: CliIo; request: ClientRequest }): Promise<number> {
  const query = { ...request.query, check: true };
  const { Warnings, Error: problem, Text } = await client.json<CheckResult>({ ...request, query });
  await print(io, Text);
  return Warnings.length > 0 || problem ? 1 : 0;
}

/** Follows the build; with `quiet` only the image's id is shown, and what was built when it failed. Returns the id. */
async function showBuild(lines: AsyncIterable<ProgressMessage>, io: CliIo, quiet: boolean): Promise<string> {
  const said: string[] = [];
  const aux = await showProgress(quiet ? withoutProgress(heard(lines, said)) : lines, io.stdout).catch(async (err) => {
    if (quiet) await io.stderr.print(said.join(""));
    throw err;
  });
  const id = aux.map((one) => (one as { ID?: string }).ID).findLast((one) => one !== undefined);
  const shown = id ?? said.join("").trim();
  if (quiet) await print(io, `${shown}\n`);
  return shown;
}

async function* heard(lines: AsyncIterable<ProgressMessage>, said: string[]): AsyncIterable<ProgressMessage> {
  for await (const line of lines) {
    if (line.stream !== undefined) said.push(line.stream);
    yield line;
  }
}

/** Archives need zlib and tar, which other commands should not wait for. */
async function contextOf(source: string, file: string, io: CliIo): Promise<SentContext> {
  if (source === "-" && file === "-")
    throw new EngineError("invalid", "invalid argument: can't use stdin for both build context and dockerfile");
  if (source === "-") {
    const { stdinContext } = await import("./stdin-context.ts");
    return stdinContext(io.stdin, file);
  }
  const { directoryContext } = await import("./context.ts");
  return directoryContext({ directory: source, file: file === "-" ? await allOf(io.stdin) : file, cwd: io.cwd });
}

async function allOf(stdin: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export const builderPrune = command({
  name: "prune",
  summary: "Remove build cache",
  usage: "[OPTIONS]",
  examples: ["berth builder prune -f"],
  flags: {
    all: bool("Remove all unused build cache, not just dangling ones", { short: "a" }),
    filter: filterFlag('Provide filter values (e.g. "until=24h")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
    "keep-storage": value("Amount of disk space to keep for cache", {
      placeholder: "bytes",
      parse: parseBytes,
      initial: 0,
    }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const what = flags.all ? "all build cache" : "all dangling build cache";
    if (!flags.force && !(await confirmed(io, `This will remove ${what}.`))) return 0;
    const keep = flags["keep-storage"] || undefined;
    const answer = await client.json<{ CachesDeleted: string[] | null; SpaceReclaimed: number }>({
      method: "POST",
      path: "/build/prune",
      query: { all: flags.all, "keep-storage": keep, filters: filtersOf(flags.filter) },
    });
    const gone = answer.CachesDeleted ?? [];
    if (gone.length > 0) await print(io, `Deleted build cache objects:\n${gone.map((one) => `${one}\n`).join("")}\n`);
    await print(io, `Total reclaimed space: ${decimalSize(answer.SpaceReclaimed, 4)}\n`);
    return 0;
  },
});
