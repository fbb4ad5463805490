import { closeSync, mkdirSync, openSync } from "node:fs";
import { posix } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { type Feed, fed, type Job, type JobContext } from "../../host/mod.ts";
import type { Digest } from "../../oci/mod.ts";
import { ignoreMatcher, readIgnoreFile } from "../../patterns/mod.ts";
import { type Compression, decompress, peek, sniff, TarDecoder, writePiece } from "../../stream/mod.ts";
import { largestBuildText } from "../../wire/mod.ts";
import { withoutBomb } from "../files/bomb.ts";
import { writeIndex } from "../files/context-index.ts";
import { ContextIndexer } from "../files/context-indexer.ts";
import { contextView } from "../files/context-view.ts";
import * as fs from "../files/fs.ts";
import { raw, shown } from "../files/raw.ts";
import { inScope } from "../files/scope.ts";
import { isTarHeader, unpack } from "../files/unpack.ts";

export interface ReceiveInput {
  /** A file that does not exist yet, for the archive as it is without its compression. */
  readonly archive: string;
  /** Likewise, for what is in it. */
  readonly index: string;
  /** Likewise a directory, which is made only where an index will not do. */
  readonly directory: string;
  /** Path of the Dockerfile in the context. */
  readonly dockerfile: string;
  /** What came apart from the archive, whose files are then taken as they are. */
  readonly apart?: Tidied;
  /** The Dockerfile, where it is not the context's; what is ignored is still looked for in the archive. */
  readonly dockerfileText?: string;
}

/** "none": the bytes were no archive, and lie where it would; likewise what takes a program to decompress. */
export type ReceiveOutput =
  | ({ readonly kind: "index" } & Indexed)
  | ({ readonly kind: "directory" } & Tidied)
  | { readonly kind: "none" | "xz" | "bzip2" };

export interface Tidied {
  readonly dockerfileText: string;
  /** Patterns that were applied to the context, here or by whoever made it. */
  readonly ignore: readonly string[];
}

export interface Indexed extends Tidied {
  /** See `PackedContext.content`. */
  readonly content: Digest;
}

/**
 * Takes in a build context and reads its Dockerfile. A `NAME.dockerignore` beside the Dockerfile applies to all of the
 * context. `.dockerignore` does not: whoever made the archive has applied it, or meant it to be taken whole; it only says
 * whether the Dockerfile and itself are part of the context (moby `builder/remotecontext/detect.go`, `removeDockerfile`).
 */
export const receiveJob: Job<ReceiveInput & Feed, ReceiveOutput> = {
  name: "builder.receive",
  run: (input, context) => takeContext(copies(input, context), { input, context }),
};

export async function takeContext(
  bytes: AsyncGenerator<Uint8Array>,
  { input, context }: { readonly input: ReceiveInput; readonly context: JobContext },
): Promise<ReceiveOutput> {
  const { archive, directory } = input;
  const indexer = new ContextIndexer();
  const kind = await save(bytes, { archive, indexer });
  if (kind !== "archive") return { kind };
  const root = raw(directory);
  if (!indexer.odd) {
    const found = fs.through(contextView(indexer.tree, { root, archive }), () => tidied(root, { input, context }));
    return { kind: "index", ...found, content: writeIndex(input.index, indexer.tree) };
  }
  mkdirSync(directory, { mode: 0o755 });
  await unpack({ archive: raw(archive), root, base: () => "", owners: false, context });
  return { kind: "directory", ...tidied(root, { input, context }) };
}

/** Writes the archive to its file and tells the indexer what is in it. */
async function save(
  bytes: AsyncGenerator<Uint8Array>,
  { archive, indexer }: { archive: string; indexer: ContextIndexer },
): Promise<"archive" | "none" | "xz" | "bzip2"> {
  const file = { fd: openSync(archive, "wx", 0o600), at: 0 };
  try {
    const { head, all } = await peek(bytes);
    const format: Compression = sniff(head);
    if (format === "xz" || format === "bzip2") {
      for await (const piece of all) writePiece(file, piece);
      return format;
    }
    const came = counted(all);
    const plain = withoutBomb(decompress(came.bytes), came.size);
    return (await index(plain, { indexer, file })) ? "archive" : "none";
  } finally {
    closeSync(file.fd);
  }
}

/** What follows the archive's end is read and dropped. False when it is none. */
async function index(
  bytes: AsyncIterable<Uint8Array>,
  { indexer, file }: { indexer: ContextIndexer; file: { readonly fd: number; at: number } },
): Promise<boolean> {
  const decoder = new TarDecoder(indexer);
  let isArchive: boolean | undefined;
  let first = Buffer.alloc(0);
  for await (const piece of bytes) {
    if (decoder.ended) continue;
    let pushed: Uint8Array = piece;
    if (isArchive === undefined) {
      first = Buffer.concat([first, piece]);
      if (first.length < 1024) continue;
      pushed = first;
    }
    isArchive ??= isTarHeader(pushed);
    if (isArchive) push(decoder, { indexer, bytes: pushed, at: file.at });
    writePiece(file, pushed);
  }
  if (isArchive === undefined) {
    isArchive = isTarHeader(first);
    if (isArchive) push(decoder, { indexer, bytes: first, at: 0 });
    writePiece(file, first);
  }
  if (isArchive) decoder.finish();
  return isArchive;
}

function push(
  decoder: TarDecoder,
  { indexer, bytes, at }: { indexer: ContextIndexer; bytes: Uint8Array; at: number },
): void {
  indexer.pushing(bytes, at);
  decoder.push(bytes);
}

/** The ring's pieces are good for one step only, and decompression keeps several. */
async function* copies(input: Feed, context: JobContext): AsyncGenerator<Uint8Array> {
  for (const piece of fed(input, context)) yield Buffer.from(piece);
}

function counted(bytes: AsyncIterable<Uint8Array>): { bytes: AsyncGenerator<Uint8Array>; size: () => number } {
  let size = 0;
  async function* passing(): AsyncGenerator<Uint8Array> {
    for await (const piece of bytes) {
      size += piece.length;
      yield piece;
    }
  }
  return { bytes: passing(), size: () => size };
}

interface Received {
  readonly input: ReceiveInput;
  readonly context: JobContext;
}

/** What came apart, or what is found in the context, from which what is ignored is taken out. */
export function tidied(root: string, { input, context }: Received): Tidied {
  return input.apart ?? tidy(root, { ...input, context });
}

export interface Tidying extends Pick<ReceiveInput, "dockerfile" | "dockerfileText"> {
  readonly context: JobContext;
}

/** Takes out what is ignored, and reads the Dockerfile unless it came apart. */
export function tidy(root: string, { dockerfile, dockerfileText: given, context }: Tidying): Tidied {
  const dockerfileText = given ?? readDockerfile(root, dockerfile);
  const own = given === undefined ? readText(root, `${dockerfile}.dockerignore`) : undefined;
  if (own !== undefined) prune(root, { ignored: ignoreMatcher(readIgnoreFile(own)), context });
  const general = readIgnoreFile(readText(root, ".dockerignore") ?? "");
  const ignored = ignoreMatcher(general);
  for (const path of [".dockerignore", posix.normalize(dockerfile)]) {
    if (ignored(path) || isSentAlong(path)) fs.remove(inScope(root, raw(path), { followLast: false }));
  }
  return { dockerfileText, ignore: own === undefined ? general : readIgnoreFile(own) };
}

/** The name that clients give a Dockerfile which does not lie in the context; it is none of its files. */
function isSentAlong(path: string): boolean {
  return /^\.dockerfile\.[0-9a-f]{20,32}$/.test(path);
}

function readDockerfile(root: string, path: string): string {
  const clean = posix.normalize(path);
  if (clean === ".." || clean.startsWith("../")) {
    throw new EngineError("invalid", `forbidden path outside the build context: ${path}`);
  }
  const text = readText(root, path);
  if (text === undefined) throw new EngineError("invalid", `Cannot locate specified Dockerfile: ${path}`);
  if (text === "") throw new EngineError("invalid", `the Dockerfile (${path}) cannot be empty`);
  return text;
}

function readText(root: string, path: string): string | undefined {
  const file = inScope(root, raw(path), { followLast: true });
  const stat = fs.lstat(file);
  if (!stat?.isFile()) return undefined;
  if (stat.size > BigInt(largestBuildText)) throw new EngineError("invalid", `${path} is larger than 1 MiB`);
  return fs.readHead(file, Number(stat.size)).toString("utf8");
}

export interface Pruning {
  readonly ignored: (path: string) => boolean;
  readonly context: JobContext;
}

/** Removes what is ignored; a directory that holds something taken back in stays. Returns whether anything stayed. */
export function prune(root: string, pruning: Pruning, below = ""): boolean {
  let kept = false;
  for (const name of fs.readdir(below === "" ? root : `${root}/${below}`)) {
    const path = below === "" ? name : `${below}/${name}`;
    pruning.context.check();
    const stays = !pruning.ignored(shown(path));
    const isDirectory = fs.lstat(`${root}/${path}`)?.isDirectory() === true;
    const inside = isDirectory && prune(root, pruning, path);
    if (!stays && !inside) fs.remove(`${root}/${path}`);
    kept ||= stays || inside;
  }
  return kept;
}
