import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EngineError, messageOf } from "../../errors/mod.ts";
import { type Descriptor, type Digest, decodeIndex, hexOf, type Index, isDigest, mediaTypes } from "../../oci/mod.ts";
import { digesting, fromFile } from "../../stream/mod.ts";

/** What an index calls a manifest (OCI image-spec annotations.md). */
const nameAnnotation = "org.opencontainers.image.ref.name";

/** Caches of builds as files, in OCI's image layout: `blobs/sha256/HEX`, and `index.json` with a manifest for each tag. */
export class CacheDirectory {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  size(digest: Digest): number | undefined {
    const stat = statSync(this.#blob(digest), { throwIfNoEntry: false });
    return stat?.isFile() ? stat.size : undefined;
  }

  /** From `start` up to, not including, `end`. */
  read(digest: Digest, range: { readonly start: number; readonly end?: number }): AsyncGenerator<Uint8Array> {
    return fromFile(this.#blob(digest), range);
  }

  /** Starts a blob, which nobody sees before it is complete and verified. */
  async write(expected: Pick<Descriptor, "digest" | "size">): Promise<CacheWrite> {
    const to = this.#blob(expected.digest);
    const path = join(this.#path, "ingest", crypto.randomUUID());
    await mkdir(dirname(to), { recursive: true });
    await mkdir(dirname(path), { recursive: true });
    return new CacheWrite(await open(path, "wx"), { ...expected, path, to });
  }

  /** The manifest of that tag. Throws "not-found", "invalid" for an index that is none. */
  find(tag: string): Digest {
    const { manifests } = this.#index();
    const [only, ...more] = manifests;
    const named = manifests.find(({ annotations }) => annotations?.[nameAnnotation] === tag);
    const found = named ?? (more.length === 0 ? only : undefined);
    if (found) return found.digest;
    throw new EngineError("not-found", `${join(this.#path, "index.json")} has no tag ${tag}`);
  }

  /** Gives a manifest that tag, which no other has then. */
  tag({ mediaType, digest, size }: Descriptor, tag: string): void {
    const others = this.#others(tag);
    const annotations = { [nameAnnotation]: tag };
    const index = {
      ...{ schemaVersion: 2, mediaType: mediaTypes.index },
      manifests: [...others, { mediaType, digest, size, annotations }],
    };
    mkdirSync(this.#path, { recursive: true });
    this.#put("oci-layout", { imageLayoutVersion: "1.0.0" });
    this.#put("index.json", index);
  }

  #others(tag: string): readonly Descriptor[] {
    const path = join(this.#path, "index.json");
    if (!statSync(path, { throwIfNoEntry: false })) return [];
    return this.#index().manifests.filter(({ annotations }) => annotations?.[nameAnnotation] !== tag);
  }

  #index(): Index {
    const path = join(this.#path, "index.json");
    try {
      return decodeIndex(readFileSync(path));
    } catch (err) {
      throw new EngineError("not-found", `${path}: ${messageOf(err)}`, { cause: err });
    }
  }

  /** Never half written. */
  #put(name: string, json: object): void {
    const path = join(this.#path, name);
    const partial = `${path}.${crypto.randomUUID()}`;
    writeFileSync(partial, JSON.stringify(json));
    renameSync(partial, path);
  }

  #blob(digest: string): string {
    if (!isDigest(digest)) throw new EngineError("invalid", `invalid digest ${JSON.stringify(digest.slice(0, 100))}`);
    return join(this.#path, "blobs", "sha256", hexOf(digest));
  }
}

interface Writing extends Pick<Descriptor, "digest" | "size"> {
  readonly path: string;
  readonly to: string;
}

/** A blob being written. Disposing one that was not committed leaves nothing. */
export class CacheWrite implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #writing: Writing;
  #offset = 0;

  constructor(file: FileHandle, writing: Writing) {
    this.#file = file;
    this.#writing = writing;
  }

  /** Bytes so far. */
  get offset(): number {
    return this.#offset;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const { digest, size } = this.#writing;
    if (this.#offset + bytes.length > size)
      throw new EngineError("invalid", `${digest} has more than the expected ${size} bytes`);
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#offset);
      at += bytesWritten;
      this.#offset += bytesWritten;
    }
  }

  /** Throws "invalid" when size or digest are others. */
  async commit(): Promise<void> {
    const { digest, path, to } = this.#writing;
    const { bytes, done } = digesting(fromFile(path));
    for await (const _ of bytes); // read once more: what counts is what is on the disk
    const written = await done;
    if (written.digest !== digest) throw new EngineError("invalid", `${written.digest} came, expected ${digest}`);
    await this.#file.sync();
    await rename(path, to);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
    await rm(this.#writing.path, { force: true });
  }
}
