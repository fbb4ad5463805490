import { readFileSync, realpathSync, statSync } from "node:fs";
import { relative, resolve } from "node:path";
import { EngineError, messageOf } from "../../errors/mod.ts";
import { readIgnoreFile } from "../../patterns/mod.ts";
import { type Bytes, batched, fromBuffer, type TarEntry, writeTar } from "../../stream/mod.ts";
import { contextEntries, type WalkOptions } from "./walk.ts";

export interface ContextRequest {
  readonly directory: string;
  /** As given with --file, relative to the working directory; "" for the default, bytes for one from standard input. */
  readonly file: string | Uint8Array;
  readonly cwd: string;
}

export interface SentContext {
  readonly bytes: Bytes;
  /** Path of the Dockerfile inside the archive. */
  readonly dockerfile: string;
  /** What the engine calls the context, of which only missing contents are sent. */
  readonly id?: string;
}

/** What of a directory is the build context. */
export interface DirectoryContext {
  readonly root: string;
  readonly walk: WalkOptions;
  /** Path of the Dockerfile inside the context. */
  readonly dockerfile: string;
  /** A Dockerfile that is not in the directory. */
  readonly extra?: TarEntry;
}

/** What .dockerignore leaves of the directory, and the Dockerfile wherever it is. Throws "not-found". */
export function findContext({ directory, file, cwd }: ContextRequest): DirectoryContext {
  const root = contextRoot(directory, cwd);
  const found = typeof file === "string" ? dockerfileIn(root, file && resolve(cwd, file)) : { text: file };
  // One that is not inside goes along under a name that nothing there can have.
  const dockerfile = found.inside ?? `.dockerfile.${crypto.randomUUID().replaceAll("-", "")}`;
  const { patterns, own } = ignorePatterns(root, found.path);
  // The engine reads .dockerignore itself; where the Dockerfile has one of its own, it must not find the general one.
  const exact = new Map<string, "keep" | "drop">([
    [dockerfile, "keep"],
    [".dockerignore", own ? "drop" : "keep"],
  ]);
  const extra = found.inside === undefined ? { extra: fileEntry(dockerfile, found.text) } : {};
  return { root, walk: { patterns, exact }, dockerfile, ...extra };
}

/** The build context as an archive. */
export function sentContext({ root, walk, dockerfile, extra }: DirectoryContext): SentContext {
  const entries = chained(contextEntries(root, walk), extra ? [extra] : []);
  return { bytes: batched(writeTar(entries)), dockerfile };
}

/** A Dockerfile without anything beside it. */
export function dockerfileContext(text: Uint8Array): SentContext {
  return { bytes: writeTar([fileEntry("Dockerfile", text)]), dockerfile: "Dockerfile" };
}

function contextRoot(directory: string, cwd: string): string {
  const path = resolve(cwd, directory);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat)
    throw new EngineError("not-found", `unable to prepare context: path ${JSON.stringify(directory)} not found`);
  if (!stat.isDirectory())
    throw new EngineError("invalid", `unable to prepare context: context must be a directory: ${path}`);
  return realpathSync(path);
}

interface FoundDockerfile {
  readonly text: Uint8Array;
  readonly path?: string;
  /** Relative to the context; absent when it lies elsewhere. */
  readonly inside?: string;
}

function dockerfileIn(root: string, chosen: string): FoundDockerfile {
  const path = chosen || resolve(root, "Dockerfile");
  try {
    const text = readFileSync(path);
    const inside = relative(root, resolve(realpathSync(resolve(path, "..")), path.slice(path.lastIndexOf("/") + 1)));
    const outside = inside === ".." || inside.startsWith("../");
    return { text, path, ...(!outside && { inside }) };
  } catch (err) {
    const missing = err instanceof Error && "code" in err && err.code === "ENOENT";
    const reason = missing
      ? `unable to evaluate symlinks in Dockerfile path: lstat ${path}: no such file or directory`
      : messageOf(err);
    throw new EngineError("not-found", `unable to prepare context: ${reason}`, { cause: err });
  }
}

/** `DOCKERFILE.dockerignore` beside the Dockerfile counts before the context's own. */
function ignorePatterns(root: string, dockerfile: string | undefined): { patterns: readonly string[]; own: boolean } {
  const own = dockerfile === undefined ? undefined : textOf(`${dockerfile}.dockerignore`);
  return { patterns: readIgnoreFile(own ?? textOf(resolve(root, ".dockerignore")) ?? ""), own: own !== undefined };
}

function textOf(path: string): string | undefined {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ? readFileSync(path, "utf8") : undefined;
}

function* chained(first: Iterable<TarEntry>, then: Iterable<TarEntry>): Generator<TarEntry> {
  yield* first;
  yield* then;
}

function fileEntry(name: string, text: Uint8Array): TarEntry {
  const header = { name: Buffer.from(name), type: "file", mode: 0o600, uid: 0, gid: 0, mtime: 0n } as const;
  return { header: { ...header, size: BigInt(text.length) }, content: fromBuffer(text) };
}
