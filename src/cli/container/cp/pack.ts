import { type BigIntStats, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { fromBuffer, fromDescriptor, type TarEntry, type TarHeader } from "../../../stream/mod.ts";

/**
 * A local file or directory as an archive has it, its names beginning with `name`: with owners by number, times in whole
 * seconds and hard links, without sockets. Names are bytes throughout, and one directory at a time is in memory.
 */
export function* localEntries(path: string, name: string): Generator<TarEntry> {
  const links = new Map<string, Buffer>();
  const stack: Iterator<Found>[] = [[{ path: Buffer.from(path), name: Buffer.from(name) }].values()];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const { done, value: found } = top.next();
    if (done) {
      stack.pop();
      continue;
    }
    const stat = lstatSync(found.path, { bigint: true, throwIfNoEntry: false });
    if (!stat) continue; // gone since it was listed
    const entry = entryOf(found, { stat, links });
    if (entry) yield entry;
    if (stat.isDirectory()) stack.push(children(found));
  }
}

interface Found {
  readonly path: Buffer;
  readonly name: Buffer;
}

function* children(parent: Found): Generator<Found> {
  const names = readdirSync(parent.path, { encoding: "buffer" }).sort(Buffer.compare);
  for (const name of names) yield { path: below(parent.path, name), name: below(parent.name, name) };
}

function below(directory: Buffer, name: Buffer): Buffer {
  const slash = directory.at(-1) === 0x2f ? "" : "/";
  return Buffer.concat([directory, Buffer.from(slash), name]);
}

interface Looked {
  readonly stat: BigIntStats;
  /** First names of files that have several. */
  readonly links: Map<string, Buffer>;
}

function entryOf({ path, name }: Found, { stat, links }: Looked): TarEntry | undefined {
  const base = headerOf(name, stat);
  const bare = (header: TarHeader): TarEntry => ({ header, content: fromBuffer(new Uint8Array()) });
  if (stat.isDirectory()) return bare({ ...base, type: "directory" });
  const first = firstName(name, { stat, links });
  if (first) return bare({ ...base, type: "hardlink", linkname: first });
  if (stat.isFile()) return fileEntry(path, base);
  if (stat.isSymbolicLink())
    return bare({ ...base, type: "symlink", linkname: readlinkSync(path, { encoding: "buffer" }) });
  if (stat.isFIFO()) return bare({ ...base, type: "fifo" });
  if (stat.isSocket()) return undefined;
  return bare({ ...base, type: stat.isBlockDevice() ? "block" : "character", ...deviceParts(stat.rdev) });
}

function headerOf(name: Buffer, stat: BigIntStats): TarHeader {
  const trimmed = name.at(-1) === 0x2f ? name.subarray(0, -1) : name;
  return {
    name: trimmed,
    type: "file",
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: 0n,
    mtime: stat.mtimeNs - (stat.mtimeNs % 1_000_000_000n),
  };
}

function firstName(name: Buffer, { stat, links }: Looked): Buffer | undefined {
  if (stat.nlink < 2n) return undefined;
  const key = `${stat.dev}:${stat.ino}`;
  const first = links.get(key);
  if (!first) links.set(key, name);
  return first;
}

/** The number's parts, as glibc packs them. */
function deviceParts(device: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}

/** Opened when its turn comes; as long as it is announced, whatever is written to it meanwhile. */
function fileEntry(path: Buffer, base: TarHeader): TarEntry {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const size = fstatSync(fd, { bigint: true }).size;
  return { header: { ...base, size }, content: fromDescriptor(fd, Number(size)) };
}
