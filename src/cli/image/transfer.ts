import { createReadStream, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Client } from "../../client/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { bool, list, text } from "../../flags/mod.ts";
import { command } from "../command.ts";
import { type CliIo, type Output, print } from "../io.ts";
import { deliver } from "../output/save.ts";
import { authHeader } from "../session/auth.ts";
import { showProgress, withoutProgress } from "../session/progress.ts";
import { fullName, pullImage, splitImage } from "../session/pull.ts";
import { platformJson } from "./list.ts";
import { imagePath } from "./path.ts";

/** Commands that move images. */

const platform = text("Set platform if server is multi-platform capable");
const onePlatform = (given: string) => (given ? platformJson(given) : undefined);

export const pull = command({
  name: "pull",
  summary: "Download an image from a registry",
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  examples: ["berth pull nginx", "berth pull localhost:5000/team/app:1.0"],
  flags: {
    "all-tags": bool("Download all tagged images in the repository", { short: "a" }),
    platform,
    quiet: bool("Suppress verbose output", { short: "q" }),
  },
  args: { min: 1, max: 1 },
  async run({ flags, args: [image = ""], client }, io) {
    const { quiet, "all-tags": allTags } = flags;
    if (allTags && splitImage(image).tag) throw new EngineError("invalid", "tag can't be used with --all-tags/-a");
    if (!allTags && !quiet && !splitImage(image).tag) await print(io, "Using default tag: latest\n");
    await pullImage(client, image, { io, quiet, platform: flags.platform, to: io.stdout, allTags });
    await print(io, `${fullName(image, { tagged: !allTags })}\n`);
    return 0;
  },
});

export const push = command({
  name: "push",
  summary: "Upload an image to a registry",
  usage: "[OPTIONS] NAME[:TAG]",
  examples: ["berth push localhost:5000/team/app:1.0"],
  flags: {
    "all-tags": bool("Push all tags of an image to the repository", { short: "a" }),
    platform: text("Push a platform-specific manifest as a single-platform image to the registry"),
    quiet: bool("Suppress verbose output", { short: "q" }),
  },
  args: { min: 1, max: 1 },
  async run({ flags, args: [image = ""], client }, io) {
    const { tag } = splitImage(image);
    const allTags = flags["all-tags"];
    if (allTags && tag) throw new EngineError("invalid", "tag can't be used with --all-tags/-a");
    if (!allTags && !flags.quiet && !tag) await print(io, "Using default tag: latest\n");
    await pushName(client, image, { io, to: io.stdout, ...flags, allTags });
    if (flags.quiet) await print(io, `${fullName(image, { tagged: !allTags })}\n`);
    return 0;
  },
});

export interface PushNameOptions {
  readonly io: CliIo;
  readonly to: Output;
  readonly quiet?: boolean;
  readonly allTags?: boolean;
  readonly platform?: string;
}

/** Pushes what this name is here, and shows how far it is. Returns the digest of the (last) manifest. */
export async function pushName(client: Client, image: string, options: PushNameOptions): Promise<string | undefined> {
  const { io, to, quiet = false, allTags = false, platform: given = "" } = options;
  const { name, tag } = splitImage(image);
  const lines = client.lines({
    method: "POST",
    path: imagePath(name, "/push"),
    query: { tag: allTags ? undefined : tag || "latest", platform: onePlatform(given) },
    // The engine insists on the header; `{}` is an anonymous push.
    headers: { "X-Registry-Auth": "e30", ...authHeader(io, image) },
  });
  const aux = await showProgress(quiet ? withoutProgress(lines) : lines, to);
  return aux.map((one) => (one as { Digest?: string }).Digest).findLast((one) => one !== undefined);
}

export const load = command({
  name: "load",
  summary: "Load an image from a tar archive or STDIN",
  usage: "[OPTIONS]",
  examples: ["berth load -i app.tar"],
  flags: {
    input: text("Read from tar archive file, instead of STDIN", { short: "i", placeholder: "FILE" }),
    platform: text("Load only the given platform variant"),
    quiet: bool("Suppress the load output", { short: "q" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    if (!flags.input && io.stdin.isTTY)
      throw new EngineError("invalid", "requested load from stdin, but stdin is empty");
    const query = { quiet: flags.quiet || !io.stdout.isTTY, platform: onePlatform(flags.platform) };
    return upload(client, io, {
      path: "/images/load",
      query,
      bytes: flags.input ? fileBytes(io, flags.input) : io.stdin,
    });
  },
});

export const save = command({
  name: "save",
  summary: "Save one or more images to a tar archive (streamed to STDOUT by default)",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  examples: ["berth save -o app.tar app:1.0"],
  flags: {
    output: text("Write to a file, instead of STDOUT", { short: "o", placeholder: "FILE" }),
    platform: text("Save only the given platform variant"),
  },
  args: { min: 1 },
  async run({ flags, args, client }, io) {
    const query = { names: args, platform: onePlatform(flags.platform) };
    const request = { method: "GET", path: "/images/get", query } as const;
    await deliver(io, flags.output, async () => (await client.stream(request)).bytes);
    return 0;
  },
});

export const importImage = command({
  name: "import",
  summary: "Import the contents from a tarball to create a filesystem image",
  usage: "[OPTIONS] FILE|URL|- [REPOSITORY[:TAG]]",
  examples: ["berth import --change 'CMD [\"sh\"]' root.tar base:1"],
  flags: {
    change: list("Apply Dockerfile instruction to the created image", { short: "c" }),
    message: text("Set commit message for imported image", { short: "m" }),
    platform,
  },
  args: { min: 1, max: 2 },
  async run({ flags, args: [source = "", target = ""], client }, io) {
    const remote = /^https?:\/\//.test(source);
    const { name, tag } = splitImage(target);
    const query = {
      fromSrc: remote ? source : "-",
      repo: name || undefined,
      tag: tag || undefined,
      changes: flags.change,
      message: flags.message || undefined,
      platform: flags.platform || undefined,
    };
    const bytes = remote ? new Uint8Array() : source === "-" ? io.stdin : fileBytes(io, source);
    return upload(client, io, { path: "/images/create", query, bytes });
  },
});

interface Upload {
  readonly path: string;
  readonly query: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly bytes: AsyncIterable<Uint8Array> | Uint8Array;
}

async function upload(client: Client, io: CliIo, { path, query, bytes }: Upload): Promise<number> {
  const lines = client.lines({ method: "POST", path, query, bytes, contentType: "application/x-tar" });
  await showProgress(lines, io.stdout);
  return 0;
}

function fileBytes(io: CliIo, given: string): AsyncIterable<Uint8Array> {
  const path = resolve(io.cwd, given);
  if (!statSync(path, { throwIfNoEntry: false }))
    throw new EngineError("not-found", `open ${given}: no such file or directory`);
  return createReadStream(path, { highWaterMark: 1 << 18 });
}
