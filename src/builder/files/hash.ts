import { createHash, type Hash } from "node:crypto";
import { closeSync, constants, readSync } from "node:fs";
import { dataRanges, type JobContext } from "../../host/mod.ts";
import { ignoreMatcher } from "../../patterns/mod.ts";
import { mostListed } from "../explain/listing.ts";
import { xattrsOf } from "./attributes.ts";
import { lstat, open, readlink, type Stat, viewOf } from "./fs.ts";
import { rawBytes, shown } from "./raw.ts";
import type { Selected } from "./select.ts";
import { type Visited, walk } from "./walk.ts";

export interface TreeHashOptions {
  readonly root: string;
  readonly exclude: readonly string[];
  /** Whether owners count: those of a context are not copied. */
  readonly owners: boolean;
  readonly context: JobContext;
  /** Gets a line for everything that counts, see `Listing`. */
  readonly listing?: string[];
}

/**
 * Digest of what COPY would copy: names, types, modes, contents, link targets, extended attributes; never times
 * (Dockerfile reference, "build cache": modification times do not count).
 */
export function hashSelected(selected: readonly Selected[], options: TreeHashOptions): `sha256:${string}` {
  const hash = createHash("sha256");
  const excluded = ignoreMatcher(options.exclude);
  const { owners, listing, context } = options;
  const entry: EntryOptions = { hash, pending: [], owners, listing, check: context.check };
  for (const item of selected) {
    const whole = item.real === "" ? options.root : `${options.root}/${item.real}`;
    const path = item.name.slice(item.name.lastIndexOf("/") + 1);
    if (item.type !== "directory" && excluded(shown(path))) continue;
    addField(entry, `${item.type} ${item.name}`);
    if (item.type === "directory") addTree(entry, { whole, item, options });
    else addEntry(entry, { whole, path, stat: lstat(whole) });
  }
  flush(entry);
  return `sha256:${hash.digest("hex")}`;
}

interface EntryOptions {
  readonly hash: Hash;
  /** Fields that are yet to be hashed. */
  readonly pending: string[];
  readonly owners: boolean;
  readonly listing: string[] | undefined;
  readonly check: () => void;
}

interface Tree {
  readonly whole: string;
  readonly item: Selected;
  readonly options: TreeHashOptions;
}

function addTree(entry: EntryOptions, { whole, item, options }: Tree): void {
  const add = (visited: Visited) => addEntry(entry, visited);
  const { include } = item;
  const { exclude, context } = options;
  const visitor = { enter: add, leaf: add, leave: () => undefined };
  walk(whole, { exclude, context, ...(include !== undefined && { include }), visitor });
}

/** `stat` is undefined when it has gone since it was selected. */
function addEntry(entry: EntryOptions, { whole, path, stat }: Entry): void {
  if (!stat) return;
  const owner = entry.owners ? ` ${stat.uid}:${stat.gid}` : "";
  addField(entry, path);
  addField(entry, `${stat.mode.toString(8)}${owner}`);
  for (const [name, value] of xattrsOf(whole)) addField(entry, `${name}=${value.toString("latin1")}`);
  const content = contentOf(whole, { stat, check: entry.check });
  if (entry.listing && entry.listing.length < mostListed)
    entry.listing.push(`${stat.mode.toString(8)}${content.slice(0, 24).replaceAll(" ", "_")} ${path}`);
  if (!stat.isDirectory()) addField(entry, content);
}

interface Entry {
  readonly whole: string;
  readonly path: string;
  readonly stat: Stat | undefined;
}

interface Content {
  readonly stat: Stat;
  readonly check: () => void;
}

function contentOf(path: string, { stat, check }: Content): string {
  if (stat.isSymbolicLink()) return readlink(path);
  if (stat.isFile()) return contentDigest(path, { stat, check });
  return stat.isDirectory() ? "" : stat.rdev.toString();
}

/** Length in front, so that no two lists of fields look alike. */
function addField({ pending, hash }: Pick<EntryOptions, "pending" | "hash">, text: string): void {
  pending.push(`${text.length}:${text}`);
  if (pending.length >= mostPending) flush({ pending, hash });
}

/** Hashing a few bytes costs as much as hashing many. */
const mostPending = 1000;

function flush({ pending, hash }: Pick<EntryOptions, "pending" | "hash">): void {
  hash.update(rawBytes(pending.join("")));
  pending.length = 0;
}

/** Digests of this thread's last files: a build hashes the same context for each COPY. Keyed by everything that a write changes. */
const known = new Map<string, string>();
const mostKnown = 50_000;

function contentDigest(path: string, { stat, check }: Content): string {
  const view = viewOf(path);
  if (view) return view.digest(path);
  const key = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const digest = hashFile(path, { stat, check });
  if (known.size >= mostKnown) known.clear();
  known.set(key, digest);
  return digest;
}

const buffer = Buffer.allocUnsafe(1024 * 1024);

/** Bytes from which on a file's holes are told from zeroes: a terabyte of them takes no disk, and an hour to read. */
const large = 64 * 1024 * 1024;

function hashFile(path: string, { stat, check }: Content): string {
  const hash = createHash("sha256");
  const fd = open(path, constants.O_RDONLY);
  const size = Number(stat.size);
  try {
    const ranges = size < large ? [{ start: 0, end: size }] : dataRanges(fd, size);
    for (const { start, end } of ranges) {
      if (size >= large) hash.update(`${start}-${end} of ${size}\n`);
      for (let at = start, read = -1; at < end && read !== 0; at += read) {
        check();
        read = readSync(fd, buffer, 0, Math.min(buffer.length, end - at), at);
        hash.update(buffer.subarray(0, read));
      }
    }
  } finally {
    closeSync(fd);
  }
  return hash.digest("hex");
}
