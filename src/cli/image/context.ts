import { createReadStream } from "node:fs";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { ignoreMatcher, readIgnoreFile } from "../../patterns/mod.ts";
import { type Bytes, fromBuffer, type TarEntry, type TarHeader, writeTar } from "../../stream/mod.ts";

export interface ContextRequest {
  readonly directory: string;
  /** As given with --file, relative to the working directory; "" for the default. */
  readonly file: string;
  readonly cwd: string;
}

export interface SentContext {
  readonly bytes: Bytes;
  /** Path of the Dockerfile inside the archive. */
  readonly dockerfile: string;
}

/** The build context as an archive: what .dockerignore leaves of the directory, and the Dockerfile wherever it is. Throws "not-found". */
export async function directoryContext({ directory, file, cwd }: ContextRequest): Promise<SentContext> {
  const root = resolve(cwd, directory);
  const stat = await lstat(root).catch(() => undefined);
  if (!stat)
    throw new EngineError("not-found", `unable to prepare context: path ${JSON.stringify(directory)} not found`);
  const chosen = file === "" ? join(root, "Dockerfile") : resolve(cwd, file);
  const inside = relative(root, chosen);
  const text = await readFile(chosen).catch(() => undefined);
  if (!text)
    throw new EngineError(
      "not-found",
      `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${chosen}: no such file or directory`,
    );
  const outside = inside.startsWith("..");
  const dockerfile = outside ? `.dockerfile.${crypto.randomUUID()}` : inside;
  const ignored = await ignoreRules(root, { chosen, keep: [dockerfile] });
  const extra = outside ? [fileEntry(dockerfile, text)] : [];
  return { bytes: writeTar(entries(root, { ignored, extra })), dockerfile };
}

/** A Dockerfile from standard input, or an archive from it: the engine tells them apart. */
export async function dockerfileContext(text: Uint8Array): Promise<SentContext> {
  return { bytes: writeTar(entriesOf([fileEntry("Dockerfile", text)])), dockerfile: "Dockerfile" };
}

/** `DOCKERFILE.dockerignore` beside the Dockerfile counts before the context's own. */
async function ignoreRules(
  root: string,
  { chosen, keep }: { chosen: string; keep: readonly string[] },
): Promise<(path: string) => boolean> {
  const own = await readFile(`${chosen}.dockerignore`, "utf8").catch(() => undefined);
  const text = own ?? (await readFile(join(root, ".dockerignore"), "utf8").catch(() => ""));
  const patterns = readIgnoreFile(text);
  // The daemon needs both files, whatever the patterns say; it takes them out of the context itself.
  return ignoreMatcher([
    ...patterns,
    ...(patterns.length > 0 ? ["!.dockerignore", ...keep.map((one) => `!${one}`)] : []),
  ]);
}

interface Walk {
  readonly ignored: (path: string) => boolean;
  readonly extra: readonly TarEntry[];
}

async function* entries(root: string, { ignored, extra }: Walk): AsyncIterable<TarEntry> {
  yield* walk(root, "", ignored);
  yield* extra;
}

async function* entriesOf(all: readonly TarEntry[]): AsyncIterable<TarEntry> {
  yield* all;
}

/** An ignored directory is still walked where a `!` may take something below it back in. */
async function* walk(root: string, at: string, ignored: (path: string) => boolean): AsyncIterable<TarEntry> {
  const names = (await readdir(join(root, at))).sort();
  for (const name of names) {
    const path = at === "" ? name : `${at}/${name}`;
    const stat = await lstat(join(root, path), { bigint: true }).catch(() => undefined);
    if (!stat) continue; // gone since it was listed
    const skip = ignored(path);
    if (!skip) {
      const entry = await entryOf(root, path, stat);
      if (entry) yield entry;
    }
    if (stat.isDirectory()) yield* walk(root, path, ignored);
  }
}

type BigStat = Awaited<ReturnType<typeof bigStat>>;
const bigStat = (path: string) => lstat(path, { bigint: true });

/** Owners are the engine's business: everything is sent as root's, as docker does. Sockets cannot be sent. */
async function entryOf(root: string, path: string, stat: BigStat): Promise<TarEntry | undefined> {
  const base = {
    name: Buffer.from(path),
    mode: Number(stat.mode) & 0o7777,
    uid: 0,
    gid: 0,
    mtime: stat.mtimeNs,
    size: 0n,
  };
  const bare = (type: TarHeader["type"], more: Partial<TarHeader> = {}): TarEntry => ({
    header: { ...base, type, ...more },
    content: fromBuffer(new Uint8Array()),
  });
  if (stat.isDirectory()) return bare("directory");
  if (stat.isSymbolicLink())
    return bare("symlink", { linkname: await readlink(join(root, path), { encoding: "buffer" }) });
  if (stat.isFIFO()) return bare("fifo");
  if (!stat.isFile()) return undefined;
  const content =
    stat.size === 0n
      ? fromBuffer(new Uint8Array())
      : createReadStream(join(root, path), { end: Number(stat.size) - 1, highWaterMark: 1 << 18 });
  return { header: { ...base, type: "file", size: stat.size }, content };
}

function fileEntry(name: string, text: Uint8Array): TarEntry {
  const header = {
    name: Buffer.from(name),
    type: "file",
    mode: 0o600,
    uid: 0,
    gid: 0,
    mtime: 0n,
    size: BigInt(text.length),
  } as const;
  return { header, content: fromBuffer(text) };
}
