import { EngineError } from "../../errors/mod.ts";
import { bool, list, text } from "../../flags/mod.ts";
import { command } from "../command.ts";
import { saveTo } from "../container/streaming.ts";
import { print, write } from "../io.ts";
import { authHeader } from "../session/auth.ts";
import { showProgress } from "../session/progress.ts";
import { pullImage, splitImage } from "../session/pull.ts";

/** Commands that move images. */

const platform = text("Set platform if the server is multi-platform capable");
const quiet = bool("Suppress verbose output", { short: "q" });

export const pull = command({
  name: "pull",
  summary: "Download an image from a registry",
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  examples: ["berth pull nginx", "berth pull localhost:5000/team/app:1.0"],
  flags: { "all-tags": bool("Download all tagged images in the repository", { short: "a" }), platform, quiet },
  args: { min: 1, max: 1 },
  async run({ flags, args: [image = ""], client }, io) {
    await pullImage(client, image, {
      io,
      quiet: flags.quiet,
      platform: flags.platform,
      to: io.stdout,
      allTags: flags["all-tags"],
    });
    const { tag } = splitImage(image);
    await print(io, `${fullName(image)}${tag || flags["all-tags"] ? "" : ":latest"}\n`);
    return 0;
  },
});

/** The name with registry and `library/`, as docker's pull and push end with it. */
function fullName(image: string): string {
  const first = image.split("/")[0] ?? "";
  if (!image.includes("/")) return `docker.io/library/${image}`;
  return /[.:]/.test(first) || first === "localhost" ? image : `docker.io/${image}`;
}

export const push = command({
  name: "push",
  summary: "Upload an image to a registry",
  usage: "[OPTIONS] NAME[:TAG]",
  examples: ["berth push localhost:5000/team/app:1.0"],
  flags: { "all-tags": bool("Push all tags of an image to the repository", { short: "a" }), platform, quiet },
  args: { min: 1, max: 1 },
  async run({ flags, args: [image = ""], client }, io) {
    const { name, tag } = splitImage(image);
    const lines = client.lines({
      method: "POST",
      path: `/images/${name.split("/").map(encodeURIComponent).join("/")}/push`,
      query: { tag: flags["all-tags"] ? undefined : tag || "latest", platform: flags.platform || undefined },
      headers: { "X-Registry-Auth": "e30", ...authHeader(io, image) },
    });
    await showProgress(lines, flags.quiet ? io.stderr : io.stdout);
    return 0;
  },
});

export const load = command({
  name: "load",
  summary: "Load an image from a tar archive or STDIN",
  usage: "[OPTIONS]",
  examples: ["berth load -i app.tar"],
  flags: {
    input: text("Read from tar archive file, instead of STDIN", { short: "i", placeholder: "FILE" }),
    platform,
    quiet,
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    if (!flags.input && io.stdin.isTTY)
      throw new EngineError("invalid", "requested load from stdin, but stdin is empty");
    const bytes = flags.input ? await fileBytes(flags.input) : io.stdin;
    const query = { quiet: flags.quiet, platform: flags.platform || undefined };
    await showProgress(
      client.lines({ method: "POST", path: "/images/load", query, bytes, contentType: "application/x-tar" }),
      io.stdout,
    );
    return 0;
  },
});

export const save = command({
  name: "save",
  summary: "Save one or more images to a tar archive (streamed to STDOUT by default)",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  examples: ["berth save -o app.tar app:1.0"],
  flags: { output: text("Write to a file, instead of STDOUT", { short: "o", placeholder: "FILE" }), platform },
  args: { min: 1 },
  async run({ flags, args, client }, io) {
    if (!flags.output && io.stdout.isTTY)
      throw new EngineError("invalid", "cowardly refusing to save to a terminal. Use the -o flag or redirect");
    const { bytes } = await client.stream({
      method: "GET",
      path: "/images/get",
      query: { names: args, platform: flags.platform || undefined },
    });
    if (!flags.output) for await (const chunk of bytes) await write(io.stdout, chunk);
    else await saveTo(flags.output, bytes);
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
    const bytes = remote ? new Uint8Array() : source === "-" ? io.stdin : await fileBytes(source);
    await showProgress(
      client.lines({ method: "POST", path: "/images/create", query, bytes, contentType: "application/x-tar" }),
      io.stdout,
    );
    return 0;
  },
});

async function fileBytes(path: string): Promise<AsyncIterable<Uint8Array>> {
  const file = Bun.file(path);
  if (!(await file.exists())) throw new EngineError("not-found", `open ${path}: no such file or directory`);
  return file.stream();
}
