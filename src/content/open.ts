import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { KeyedLock } from "../async/mod.ts";
import type { Db, Tx } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { type Digest, digestOf, hexOf, parseDigest } from "../oci/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type { ContentInfo, ContentStore, Ingest } from "./content.ts";
import { type Expected, FileIngest } from "./ingest.ts";
import { deleteBlob, deleteUnreferenced, findBlob, insertBlob, listBlobs } from "./table.ts";

export interface ContentOptions {
  readonly db: Db;
  /** Owned by the store alone; made when missing. */
  readonly directory: string;
}

/** `read` keeps a blob in memory: manifests may have 4 MiB (OCI distribution-spec), configs are of that order. */
const readLimit = 8 << 20;
const chunkSize = 256 * 1024;

/** Opens the store and clears away what a crash left: unfinished ingests, files without a row, rows without a file. */
export async function openContent(options: ContentOptions): Promise<ContentStore> {
  const store = new FileContentStore(options);
  await store.recover();
  return store;
}

class FileContentStore implements ContentStore {
  readonly #db: Db;
  readonly #blobs: string;
  readonly #ingests: string;
  /** Between a file and its row there are awaits: publishing and deleting one digest take turns. */
  readonly #lock = new KeyedLock();
  readonly #used = new Map<Digest, number>();

  constructor({ db, directory }: ContentOptions) {
    this.#db = db;
    this.#blobs = join(directory, "blobs/sha256");
    this.#ingests = join(directory, "ingest");
  }

  async recover(): Promise<void> {
    await rm(this.#ingests, { recursive: true, force: true });
    await mkdir(this.#ingests, { recursive: true, mode: 0o700 });
    await mkdir(this.#blobs, { recursive: true, mode: 0o700 });
    const files = new Set(await readdir(this.#blobs));
    for (const { digest } of listBlobs(this.#db)) {
      if (!files.delete(hexOf(digest))) this.#db.write((tx) => deleteBlob(tx, digest));
    }
    for (const name of files) await rm(join(this.#blobs, name), { recursive: true });
  }

  async ingest(expected: Expected = {}): Promise<Ingest> {
    const path = join(this.#ingests, randomBytes(8).toString("hex"));
    const file = await open(path, "wx", 0o600);
    return new FileIngest({ path, file, expected, publish: (blob) => this.#publish({ path, file }, blob) });
  }

  async put(bytes: Uint8Array): Promise<Digest> {
    const digest = digestOf(bytes);
    if (this.info(digest)) return digest;
    await using ingest = await this.ingest({ size: bytes.length });
    await ingest.write(bytes);
    return (await ingest.commit()).digest;
  }

  /** Bytes and name are on disk before the row says so; a crash in between leaves a file without a row. */
  #publish({ path, file }: { path: string; file: FileHandle }, blob: ContentInfo): Promise<void> {
    return this.#lock.run(blob.digest, async () => {
      if (this.info(blob.digest)) return;
      await file.sync();
      await rename(path, this.#file(blob.digest));
      await syncDirectory(this.#blobs);
      this.#db.write((tx) => insertBlob(tx, blob));
      this.#used.set(blob.digest, performance.now());
    });
  }

  async remove(digest: Digest): Promise<void> {
    this.#db.write((tx) => deleteBlob(tx, digest));
    await this.#deleteFile(digest);
  }

  #deleteFile(digest: Digest): Promise<void> {
    return this.#lock.run(digest, async () => {
      if (this.#find(digest)) return;
      this.#used.delete(digest);
      await rm(this.#file(digest), { force: true });
    });
  }

  *list(): Iterable<ContentInfo> {
    yield* listBlobs(this.#db);
  }

  info(digest: Digest): ContentInfo | undefined {
    const found = this.#find(digest);
    if (found) this.#used.set(digest, performance.now());
    return found;
  }

  #find(digest: Digest): ContentInfo | undefined {
    return this.#db.read((q) => findBlob(q, digest));
  }

  path(digest: Digest): string {
    this.#require(digest);
    return this.#file(digest);
  }

  open(digest: Digest, range?: { start: number; end: number }): Bytes {
    const { size } = this.#require(digest);
    return readRange(this.#file(digest), { start: range?.start ?? 0, end: Math.min(range?.end ?? size, size) });
  }

  async read(digest: Digest): Promise<Uint8Array> {
    const { size } = this.#require(digest);
    if (size > readLimit) {
      throw new EngineError("invalid", `Content ${digest} has ${size} bytes, at most ${readLimit} are read at once`);
    }
    return Buffer.concat(await Array.fromAsync(this.open(digest)));
  }

  #require(digest: Digest): ContentInfo {
    const found = this.info(digest);
    if (!found) throw new EngineError("not-found", `Content ${digest} not found`);
    return found;
  }

  usedSince(since: number): Digest[] {
    return [...this.#used].filter(([, at]) => at >= since).map(([digest]) => digest);
  }

  dropUnreferenced(tx: Tx, roots: Iterable<Digest>): ContentInfo[] {
    return deleteUnreferenced(tx, roots);
  }

  async deleteDropped(dropped: readonly ContentInfo[]): Promise<void> {
    for (const { digest } of dropped) await this.#deleteFile(digest);
  }

  #file(digest: Digest): string {
    return join(this.#blobs, hexOf(parseDigest(digest))); // a path from outside must not become one here
  }
}

async function* readRange(path: string, range: { start: number; end: number }): AsyncGenerator<Uint8Array> {
  await using file = await open(path, "r");
  for (let at = range.start; at < range.end; ) {
    const chunk = new Uint8Array(Math.min(chunkSize, range.end - at));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) throw new EngineError("internal", `Content file ${path} ends at ${at}, expected ${range.end}`);
    at += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** A rename is durable once its directory is synced (fsync(2)). */
async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  await directory.sync();
}
