import { feedJob, type IdMap, type Owner, streamJob, type Workers } from "../../host/mod.ts";
import type { Bytes } from "../../stream/mod.ts";
import { extractJob } from "./extract.ts";
import { packPathJob } from "./pack-path.ts";
import { statPathJob } from "./stat-path.ts";

/** Where files are copied from or to: a root that somebody hostile writes to meanwhile, and a path in it as a user writes it. */
export interface Place {
  /** Its path on the host; one of /proc/self/fd serves. */
  readonly root: string;
  readonly path: string;
  /** The root's /dev is a file system that a runtime mounted there, and is left out. */
  readonly hideDev: boolean;
  /** The root shows owners as they are outside of a user namespace with this map; archives have them as inside. */
  readonly owners?: IdMap;
}

export interface PathStat {
  readonly name: string;
  readonly size: number;
  /** Type and permission bits, as in stat(2). */
  readonly mode: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Of a symlink: the path in the root that it leads to in the end, whether there is something or not. */
  readonly linkTarget: string;
}

/**
 * What is at a path; a symlink at its end is not followed. Throws "not-found" `Could not find the file PATH`, "invalid"
 * when something on the way is no directory.
 */
export function statPath(workers: Workers, place: Place, signal?: AbortSignal): Promise<PathStat> {
  return workers.run(statPathJob, place, signal ? { signal } : {});
}

/**
 * A file or directory as a tar archive, its names beginning with the path's last component ("./" for one that ends so),
 * with what is mounted below it, but for kernel file systems such as /proc. Packing is never more than 2 MiB ahead of the
 * reader. The root must stay until `done`, which is when the job has ended, well or not. Throws what {@link statPath} throws.
 */
export async function packPath(
  workers: Workers,
  place: Place,
  signal?: AbortSignal,
): Promise<{ stat: PathStat; bytes: Bytes; done: Promise<unknown> }> {
  const { bytes, done } = streamJob(workers, packPathJob, { input: place, waits: true, ...(signal && { signal }) });
  const iterator = bytes[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) throw new Error("A job of packing ended without a word");
  return { stat: decodeStat(first.value), bytes: rest(iterator), done };
}

async function* rest(iterator: AsyncIterator<Uint8Array>): Bytes & AsyncGenerator<Uint8Array> {
  try {
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}

function decodeStat(piece: Uint8Array): PathStat {
  const found = JSON.parse(Buffer.from(piece).toString()) as Omit<PathStat, "mtime"> & { readonly mtime: string };
  return { ...found, mtime: BigInt(found.mtime) };
}

export interface ExtractOptions extends Place {
  /** A directory is not replaced by something else, nor the other way round. */
  readonly noOverwriteDirNonDir: boolean;
  /** An entry for the directory itself, `./`, gives it owner, mode, time and attributes. */
  readonly itself?: boolean;
  /** Whose everything becomes, whatever the archive says; as inside. */
  readonly owner?: Owner;
  /** Nothing may be written, but below those mounts that may be written to: the deepest one that holds the path decides. */
  readonly readOnly: boolean;
  readonly mounts: readonly { readonly destination: string; readonly rw: boolean }[];
}

/**
 * Unpacks an uncompressed tar archive into a directory. A name that exists is replaced; directories are merged. Throws
 * "not-found" when there is no such directory, "forbidden" for one that is read-only, "invalid" for a broken archive, and
 * for names in it that lead out of the directory, and owners whom the user namespace does not have. What was complete
 * before a failure stays.
 */
export function extractInto(
  workers: Workers,
  bytes: Bytes,
  { signal, ...input }: ExtractOptions & { readonly signal?: AbortSignal },
): Promise<void> {
  return feedJob(workers, extractJob, { input, bytes, ...(signal && { signal }) });
}
