import type { ContentStore } from "../content/mod.ts";
import { EngineError, wrap } from "../errors/mod.ts";
import { type Digest, isDigest } from "../oci/mod.ts";
import { type Bytes, type Compression, collect, decompress, readTar, sniff, type TarEntry } from "../stream/mod.ts";

/** Files an image archive may have; real ones have a few per layer. */
const maxEntries = 100_000;
const maxLinks = 16;
const jsonLimit = 8 * 1024 * 1024;

export interface ArchivedFile {
  readonly digest: Digest;
  readonly size: number;
  /** What its first bytes say that it is compressed with. */
  readonly compression: Compression;
}

/** An image archive whose files are in the content store: entries may have come in any order. */
export interface Archive {
  readonly content: ContentStore;
  readonly files: ReadonlyMap<string, ArchivedFile>;
  /** Symbolic and hard links by name, with the resolved name they point at. */
  readonly links: ReadonlyMap<string, string>;
}

/**
 * Streams an image archive, plain or compressed, into the content store. A file that is named by its digest
 * (`blobs/sha256/…`) is verified. Throws "invalid" naming the entry.
 */
export async function readArchive(content: ContentStore, tar: Bytes, signal: AbortSignal): Promise<Archive> {
  const files = new Map<string, ArchivedFile>();
  const links = new Map<string, string>();
  let entries = 0;
  for await (const entry of readTar(decompress(abortable(tar, signal)))) {
    if (++entries > maxEntries) throw new EngineError("invalid", `Image archive has more than ${maxEntries} entries`);
    const { type, linkname } = entry.header;
    if (type === "directory") continue;
    const name = entryName(entry.header.name);
    if (type === "symlink") links.set(name, within(name, textOf(linkname)));
    else if (type === "hardlink") links.set(name, entryName(linkname ?? new Uint8Array()));
    else if (type === "file") files.set(name, await store(content, name, entry));
    else throw new EngineError("invalid", `Image archive entry ${JSON.stringify(name)} is a ${type}`);
  }
  return { content, files, links };
}

/** The file of a name, links followed inside the archive. Throws "invalid" when there is none; `at` says who asked. */
export function fileAt(archive: Archive, name: string, at: string): ArchivedFile {
  let current = within("", name);
  for (let hops = 0; hops <= maxLinks; hops++) {
    const file = archive.files.get(current);
    if (file) return file;
    const next = archive.links.get(current);
    if (next === undefined) break;
    current = next;
  }
  throw new EngineError("invalid", `${at}: ${JSON.stringify(name.slice(0, 300))} is not in the archive`);
}

/** The bytes of a small file, undefined when the archive has none of that name. */
export async function readFileAt(archive: Archive, name: string): Promise<Uint8Array | undefined> {
  const file = archive.files.get(name);
  if (!file) return undefined;
  if (file.size > jsonLimit)
    throw new EngineError("invalid", `${name}: ${file.size} bytes, at most ${jsonLimit} are accepted`);
  return collect(archive.content.open(file.digest), jsonLimit);
}

async function store(content: ContentStore, name: string, entry: TarEntry): Promise<ArchivedFile> {
  const named = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1];
  const expected = `sha256:${named}`;
  await using ingest = await content.ingest(isDigest(expected) ? { digest: expected } : {});
  let head: Uint8Array = new Uint8Array();
  for await (const piece of entry.content) {
    if (head.length < 8) head = Buffer.concat([head, piece.subarray(0, 8)]);
    await ingest.write(piece);
  }
  try {
    return { ...(await ingest.commit()), compression: sniff(head) };
  } catch (err) {
    throw wrap(err, name);
  }
}

function entryName(name: Uint8Array): string {
  return within("", textOf(name));
}

/** A name relative to the directory of another one. Throws "invalid" when it leads out of the archive. */
function within(from: string, name: string): string {
  const parts = name.startsWith("/") ? [] : from.split("/").slice(0, -1);
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) {
      throw new EngineError(
        "invalid",
        `Image archive entry ${JSON.stringify(name.slice(0, 300))} leads out of the archive`,
      );
    }
  }
  return parts.join("/");
}

function textOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("utf8");
}

async function* abortable(bytes: Bytes, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) {
    signal.throwIfAborted();
    yield piece;
  }
}
