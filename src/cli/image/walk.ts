import type { BigIntStats } from "node:fs";
import { lstatSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { ignoreMatcher } from "../../patterns/mod.ts";
import { fromBuffer, fromDescriptor, type TarEntry, type TarHeader } from "../../stream/mod.ts";

export interface WalkOptions {
  /** Of an ignore file. */
  readonly patterns: readonly string[];
  /** Decides before the patterns: sent whatever they say, or left out. Paths have no slash in front. */
  readonly exact: ReadonlyMap<string, "keep" | "drop">;
}

/** A directory as a build context has it: owned by root, as docker sends it, without sockets and what is ignored. */
export function* contextEntries(root: string, options: WalkOptions): Generator<TarEntry> {
  const names = new FirstNames();
  for (const found of walkContext(root, options)) {
    const entry = linkTo(names.of(found), found) ?? entryOf(root, found);
    if (entry) yield entry;
  }
}

/** By which of its names each file was found first, for those that have several. */
export class FirstNames {
  readonly #names = new Map<string, Buffer>();

  /** The other name of a file that was found before. */
  of({ name, stat }: Found): Buffer | undefined {
    if (!stat.isFile() || stat.nlink < 2n) return undefined;
    const key = `${stat.dev}:${stat.ino}`;
    const first = this.#names.get(key);
    if (!first) this.#names.set(key, name);
    return first;
  }
}

function linkTo(linkname: Buffer | undefined, { name, stat }: Found): TarEntry | undefined {
  if (!linkname) return undefined;
  const header = { name, type: "hardlink", mode: Number(stat.mode) & 0o7777, uid: 0, gid: 0, linkname } as const;
  return { header: { ...header, mtime: stat.mtimeNs, size: 0n }, content: fromBuffer(new Uint8Array()) };
}

/**
 * What of a directory goes into a build, a directory before what is in it. Names are bytes throughout, and one directory
 * at a time is in memory, however deep the tree.
 */
export function* walkContext(root: string, { patterns, exact }: WalkOptions): Generator<Found> {
  const ignored = ignoreMatcher(patterns);
  const exceptions = patterns.filter((one) => one.startsWith("!")).map((one) => one.slice(1));
  const skip = (path: string) => (exact.has(path) ? exact.get(path) === "drop" : ignored(path));
  const enters = (path: string) =>
    !skip(path) ||
    exceptions.some((one) => mayMatchBelow(one, path)) ||
    [...exact.keys()].some((one) => isBelow(one, path));
  const stack: Iterator<Buffer>[] = [children(root, Buffer.alloc(0))];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const { done, value: name } = top.next();
    if (done) {
      stack.pop();
      continue;
    }
    const stat = lstatSync(below(root, name), { bigint: true, throwIfNoEntry: false });
    if (!stat) continue; // gone since it was listed
    const path = name.toString();
    if (!skip(path)) yield { name, stat };
    if (stat.isDirectory() && enters(path)) stack.push(children(root, name));
  }
}

function* children(root: string, at: Buffer): Generator<Buffer> {
  const names = readdirSync(below(root, at), { encoding: "buffer" });
  for (const name of names.sort(Buffer.compare)) yield at.length === 0 ? name : joined(at, name);
}

function below(root: string, name: Buffer): Buffer {
  return name.length === 0 ? Buffer.from(root) : joined(Buffer.from(root), name);
}

function joined(before: Buffer, after: Buffer): Buffer {
  return Buffer.concat([before, Buffer.from("/"), after]);
}

/** Whether an exception could take something inside an ignored directory back in. */
function mayMatchBelow(exception: string, directory: string): boolean {
  const literal = exception.split(/[*?[\\]/, 1)[0] ?? "";
  return isBelow(literal, directory) || (literal !== exception && `${directory}/`.startsWith(literal));
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`);
}

/** One thing of a context; `name` is relative to it. */
export interface Found {
  readonly name: Buffer;
  readonly stat: BigIntStats;
}

/** Files up to this many bytes are read at once: then what is announced is what was read, though somebody may be writing. */
const small = 1n << 20n;

/** As it is sent; undefined for a socket. Throws what reading the file throws. */
export function entryOf(root: string, found: Found): TarEntry | undefined {
  const header = headerOf(root, found);
  if (header?.type !== "file") return header && { header, content: fromBuffer(new Uint8Array()) };
  const path = below(root, found.name);
  if (header.size > small) return { header, content: wholeFile(path, header.size) };
  const bytes = readFileSync(path);
  return { header: { ...header, size: BigInt(bytes.length) }, content: fromBuffer(bytes) };
}

/** As it was when it was found; undefined for a socket. */
export function headerOf(root: string, { name, stat }: Found): TarHeader | undefined {
  const base = { name, mode: Number(stat.mode) & 0o7777, uid: 0, gid: 0, mtime: stat.mtimeNs, size: 0n };
  if (stat.isDirectory()) return { ...base, type: "directory" };
  if (stat.isFIFO()) return { ...base, type: "fifo" };
  if (stat.isFile()) return { ...base, type: "file", size: stat.size };
  if (!stat.isSymbolicLink()) return undefined;
  return { ...base, type: "symlink", linkname: readlinkSync(below(root, name), { encoding: "buffer" }) };
}

/** As many bytes as were announced, or fewer when the file has shrunk since: the archive's writer tells then. */
async function* wholeFile(path: Buffer, size: bigint): AsyncGenerator<Uint8Array> {
  yield* fromDescriptor(openSync(path, "r"), Number(size)); // a stream would not take a name that is no text
}
