import { existsSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Client, ClientRequest } from "../../client/mod.ts";
import { EngineError, messageOf } from "../../errors/mod.ts";
import type { CallResult, CheckResult } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { type CliIo, print, tell } from "../io.ts";
import { allAuthHeader } from "../session/auth.ts";
import { codeOf } from "../session/progress.ts";
import { attestTexts, requireAttestable } from "./attestations.ts";
import { type BuildFlags, buildFlags, buildQuery, namesOf, outputsOf } from "./build-flags.ts";
import type { BuildSession, SessionFlags } from "./build-session.ts";
import type { CallFlag } from "./build-values.ts";
import type { Caches } from "./caches.ts";
import type { SentContext } from "./context.ts";
import { type Failed, shellIn, withoutFailed } from "./failed-shell.ts";
import { deliverBuild } from "./output.ts";
import { requireOutputs } from "./output-flag.ts";
import { screenOf, showBuild } from "./screen/show.ts";
import { namedContexts } from "./session-flags.ts";

export const build = command({
  name: "build",
  summary: "Build an image from a Dockerfile",
  usage: "[OPTIONS] PATH | URL | -",
  examples: [
    "berth build -t app:1.0 .",
    "berth build --target builder --build-arg VERSION=2 -f docker/Dockerfile .",
    "berth build --call=targets .",
    "berth build --no-cache-filter tests -t app .",
  ],
  flags: buildFlags,
  args: { min: 1, max: 1 },
  async run({ flags, args: [source = ""], client }, io) {
    const remote = isRemote(source, { io, file: flags.file });
    if (flags.iidfile) rmSync(resolve(io.cwd, flags.iidfile), { force: true }); // an old one must not look like ours
    const context = remote ? undefined : await contextOf(source, { file: flags.file, io, client });
    const dockerfile = context?.dockerfile ?? (flags.file || undefined);
    const screen = screenOf(flags, io);
    const outputs = outputsOf(flags);
    requireOutputs(outputs);
    requireAttestable(attestTexts(flags), outputs);
    const names = namesOf(flags);
    const to = outputs.some((one) => one.type !== "image" && one.dest === "") ? io.stderr : io.stdout;
    let failed: Failed | undefined;
    const steps = screen === "live" || screen === "json" || undefined;
    const named = namedContexts(flags["build-context"], io.cwd);
    const caches = await cachesFor(flags, io);
    const { secret, ssh } = flags;
    const offered = {
      secret,
      ssh,
      directories: named.directories,
      caches: new Map([...(caches?.directories ?? []), ...named.layouts]),
    };
    await using session = callOf(flags) ? undefined : await sessionOf(offered, { client, io });
    const buildcontexts = flags["build-context"].length > 0 ? JSON.stringify(named.values) : undefined;
    const own = { context: context?.id, steps, session: session?.id, buildcontexts };
    const request: ClientRequest = {
      method: "POST",
      path: "/build",
      query: { ...buildQuery(flags, io), ...caches?.query, dockerfile, remote: remote ? source : undefined, ...own },
      bytes: context?.bytes ?? new Uint8Array(),
      contentType: "application/x-tar",
      headers: allAuthHeader(io),
    };
    const call = callOf(flags);
    if (call) return await showCall(client, { io, request, call });
    const lines = client.lines(request);
    try {
      const heard = withoutFailed(caches?.indexed(lines) ?? lines, (what) => {
        failed = what;
      });
      const id = await showBuild(heard, { io, screen, to });
      const pushed = await deliverBuild(id, { client, io, outputs, names, to, quiet: flags.quiet });
      if (flags.iidfile) writeFileSync(resolve(io.cwd, flags.iidfile), id);
      if (flags["metadata-file"])
        writeFileSync(resolve(io.cwd, flags["metadata-file"]), metadata(id, { names, pushed }));
      return 0;
    } catch (err) {
      const code = codeOf(err);
      if (code === undefined) throw err;
      await tell(io, `${messageOf(err)}\n`);
      if (failed) await shellIn(failed, { client, io });
      else await tell(io, "For a shell where it failed, build with --on-error=shell.\n");
      return code;
    }
  },
});

async function cachesFor(flags: BuildFlags, io: CliIo): Promise<Caches | undefined> {
  if (flags["cache-from"].length + flags["cache-to"].length === 0) return undefined;
  return (await import("./caches.ts")).cachesOf(flags, io);
}

/** gRPC and HTTP/2 load in 50 ms, which builds that the daemon has nothing to ask of should not wait for. */
async function sessionOf(
  flags: SessionFlags,
  { client, io }: { client: Client; io: CliIo },
): Promise<BuildSession | undefined> {
  const { secret, ssh, directories, caches } = flags;
  if (secret.length + ssh.length + directories.size + caches.size === 0) return undefined;
  const { openBuildSession } = await import("./build-session.ts");
  return openBuildSession(client, flags, io);
}

/** As for docker's CLI, a directory that is there is meant before anything else. */
function isRemote(source: string, { io, file }: { io: CliIo; file: string }): boolean {
  if (!/^(https?:\/\/|git:\/\/|ssh:\/\/|git@|github\.com\/)/.test(source)) return false;
  if (existsSync(resolve(io.cwd, source))) return false;
  if (file === "-") throw new EngineError("invalid", `a Dockerfile from stdin cannot be combined with ${source}`);
  return true;
}

function callOf({ check, call }: BuildFlags): CallFlag | undefined {
  return call ?? (check ? { call: "check", isJson: false } : undefined);
}

interface Asking {
  readonly io: CliIo;
  readonly request: ClientRequest;
  readonly call: CallFlag;
}

/** Prints the answer; 1 when it is of checks that say anything. */
async function showCall(client: Client, { io, request, call: { call, isJson } }: Asking): Promise<number> {
  const printed = (answer: { readonly Text: string }, json: unknown) =>
    print(io, isJson ? `${JSON.stringify(json, undefined, 2)}\n` : answer.Text);
  if (call !== "check") {
    const answer = await client.json<CallResult>({ ...request, query: { ...request.query, call } });
    await printed(answer, answer.Json);
    return 0;
  }
  const answer = await client.json<CheckResult>({ ...request, query: { ...request.query, check: true } });
  await printed(answer, answer);
  return answer.Warnings.length > 0 || answer.Error ? 1 : 0;
}

/** The keys of docker buildx. */
function metadata(id: string, { names, pushed }: { names: readonly string[]; pushed: string | undefined }): string {
  const digest = pushed === undefined ? {} : { "containerimage.digest": pushed };
  const name = names.length > 0 ? { "image.name": names.join(",") } : {};
  return `${JSON.stringify({ "containerimage.config.digest": id, ...digest, ...name }, undefined, 2)}\n`;
}

interface ContextOptions {
  /** As given with --file. */
  readonly file: string;
  readonly io: CliIo;
  readonly client: Client;
}

/** Archives need zlib and tar, which other commands should not wait for. */
async function contextOf(source: string, { file, io, client }: ContextOptions): Promise<SentContext> {
  if (source === "-" && file === "-")
    throw new EngineError("invalid", "invalid argument: can't use stdin for both build context and dockerfile");
  if (source === "-") {
    const { stdinContext } = await import("./stdin-context.ts");
    return stdinContext(io.stdin, file);
  }
  const { findContext, sentContext } = await import("./context.ts");
  const { changedContext } = await import("./changed-context.ts");
  const given = file === "-" ? await allOf(io.stdin) : file;
  const found = findContext({ directory: source, file: given, cwd: io.cwd });
  return (await changedContext(found, client)) ?? sentContext(found);
}

async function allOf(stdin: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}
