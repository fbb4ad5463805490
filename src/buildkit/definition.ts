import { posix } from "node:path";
import { EngineError, messageOf } from "../errors/mod.ts";
import { readIgnoreFile } from "../patterns/mod.ts";
import type { TarEntry } from "../stream/mod.ts";
import { largestBuildText } from "../wire/mod.ts";
import { syncFiles } from "./file-sync.ts";
import type { Session } from "./session.ts";
import type { StatusFeed } from "./status.ts";

export interface DefinitionRequest {
  readonly session: Session;
  /** The client's names for the two directories; without `context` that is elsewhere. */
  readonly directories: { readonly context?: string; readonly dockerfile: string };
  /** Path of the Dockerfile in its directory. */
  readonly filename: string;
  readonly feed: StatusFeed;
  readonly signal: AbortSignal;
}

/** What to build, and what of the context does not belong to it. */
export interface Definition {
  readonly text: string;
  /** Patterns of the Dockerfile's own ignore file, or of the context's. */
  readonly ignored: readonly string[];
}

/** Bytes of all that a client sends beside what it was asked for. */
const largest = 16 * 1024 * 1024;

/** Throws "invalid" when there is no Dockerfile, or nothing in it. */
export async function readDefinition(request: DefinitionRequest): Promise<Definition> {
  const { filename, directories } = request;
  const own = `${filename}.dockerignore`;
  const lower = posix.join(posix.dirname(filename), posix.basename(filename).toLowerCase());
  const also = posix.basename(filename) === "Dockerfile" ? [lower] : [];
  const wanted = [filename, own, ...also];
  const found = await step(request, {
    name: `load build definition from ${filename}`,
    directory: directories.dockerfile,
    wanted,
  });
  const text = found.get(filename) ?? found.get(lower);
  if (text === undefined) {
    throw new EngineError("invalid", `failed to read dockerfile: open ${filename}: no such file or directory`);
  }
  if (text.trim() === "") throw new EngineError("invalid", `the Dockerfile (${filename}) cannot be empty`);
  const ignore = found.get(own) ?? (await contextIgnore(request));
  return { text, ignored: readIgnoreFile(ignore) };
}

async function contextIgnore(request: DefinitionRequest): Promise<string> {
  const wanted = [".dockerignore"];
  const { context: directory } = request.directories;
  if (directory === undefined) return "";
  return (await step(request, { name: "load .dockerignore", directory, wanted })).get(".dockerignore") ?? "";
}

interface Wanted {
  readonly name: string;
  readonly directory: string;
  readonly wanted: readonly string[];
}

async function step(request: DefinitionRequest, { name, directory, wanted }: Wanted): Promise<Map<string, string>> {
  const own = request.feed.own(`[internal] ${name}`);
  try {
    const texts = await textsOf(request, { directory, wanted });
    own.status("transferring", { current: [...texts.values()].reduce((sum, text) => sum + text.length, 0) });
    own.end();
    return texts;
  } catch (err) {
    own.end(messageOf(err));
    throw err;
  }
}

/** Texts by path, as far as the files are there; links between them are followed. Throws "invalid" beyond 16 MiB. */
export async function textsOf(
  from: Pick<DefinitionRequest, "session" | "signal">,
  { directory, wanted }: Pick<Wanted, "directory" | "wanted">,
): Promise<Map<string, string>> {
  const files = await smallFiles(from, { directory, followPaths: wanted });
  const texts = wanted.flatMap((path) => {
    const bytes = resolved(files, path);
    return bytes ? [[path, Buffer.from(bytes).toString("utf8")] as const] : [];
  });
  return new Map(texts);
}

type Files = ReadonlyMap<string, { readonly link: string } | Uint8Array>;

async function smallFiles(
  { session, signal }: Pick<DefinitionRequest, "session" | "signal">,
  { directory, followPaths }: { directory: string; followPaths: readonly string[] },
): Promise<Files> {
  const files = new Map<string, { link: string } | Uint8Array>();
  let left = largest;
  for await (const { header, content } of syncFiles(session, { directory, followPaths, signal })) {
    const path = Buffer.from(header.name).toString("utf8");
    if (header.type === "symlink") files.set(path, { link: Buffer.from(header.linkname ?? []).toString("utf8") });
    if (header.type !== "file") continue;
    left -= Number(header.size);
    if (left < 0 || header.size > largestBuildText) throw new EngineError("invalid", `${path} is larger than 1 MiB`);
    files.set(path, await bytesOf(content));
  }
  return files;
}

async function bytesOf(content: TarEntry["content"]): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** As many links as the kernel follows. */
function resolved(files: Files, path: string): Uint8Array | undefined {
  let at = posix.normalize(path);
  for (let links = 0; links < 40; links++) {
    const found = files.get(at);
    if (!found) return undefined;
    if (found instanceof Uint8Array) return found;
    at = posix.join("/", posix.dirname(at), found.link).slice(1);
  }
  return undefined;
}
