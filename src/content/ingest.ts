import { createHash, type Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { rm } from "node:fs/promises";
import { EngineError, messageOf } from "../errors/mod.ts";
import type { Descriptor, Digest } from "../oci/mod.ts";
import type { ContentInfo, Ingest } from "./content.ts";

export type Expected = Partial<Pick<Descriptor, "digest" | "size">>;

/** Hashing blocks the main thread: this much takes about half a millisecond, then others have their turn. */
const slice = 512 * 1024;

export interface IngestParts {
  readonly path: string;
  readonly file: FileHandle;
  readonly expected: Expected;
  /** Syncs the file and makes it the blob's; `path` may be gone afterwards. */
  readonly publish: (blob: ContentInfo) => Promise<void>;
}

export class FileIngest implements Ingest {
  readonly #parts: IngestParts;
  readonly #hash: Hash = createHash("sha256");
  #offset = 0;
  #state: "open" | "committed" | "aborted" = "open";

  constructor(parts: IngestParts) {
    this.#parts = parts;
  }

  get path(): string {
    return this.#parts.path;
  }

  get offset(): number {
    return this.#offset;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#requireOpen();
    const { size } = this.#parts.expected;
    if (size !== undefined && this.#offset + chunk.length > size) {
      throw new EngineError("invalid", `${this.#name()} has more than the expected ${size} bytes`);
    }
    for (let at = 0; at < chunk.length; at += slice) await this.#writeSlice(chunk.subarray(at, at + slice));
  }

  async #writeSlice(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += (await this.#guard(this.#parts.file.write(bytes, at, bytes.length - at, this.#offset + at))).bytesWritten;
    }
    this.#hash.update(bytes);
    this.#offset += bytes.length;
  }

  async commit(): Promise<ContentInfo> {
    this.#requireOpen();
    const blob = { digest: `sha256:${this.#hash.digest("hex")}` as Digest, size: this.#offset };
    try {
      this.#verify(blob);
      await this.#guard(this.#parts.publish(blob));
    } catch (err) {
      await this.abort();
      throw err;
    }
    this.#state = "committed";
    await this.#parts.file.close();
    await rm(this.path, { force: true }); // still there when the blob had come by another way
    return blob;
  }

  #verify(blob: ContentInfo): void {
    const { digest, size } = this.#parts.expected;
    if (size !== undefined && blob.size !== size) {
      throw new EngineError("invalid", `${this.#name()} has ${blob.size} bytes, expected ${size}`);
    }
    if (digest !== undefined && blob.digest !== digest) {
      throw new EngineError("invalid", `Content has digest ${blob.digest}, expected ${digest}`);
    }
  }

  async abort(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "aborted";
    await this.#parts.file.close();
    await rm(this.path, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }

  #name(): string {
    return this.#parts.expected.digest ?? "Content";
  }

  #requireOpen(): void {
    if (this.#state !== "open") throw new EngineError("internal", `Ingest of ${this.#name()} is ${this.#state}`);
  }

  /** "unavailable" for what more disk would cure. */
  async #guard<T>(io: Promise<T>): Promise<T> {
    try {
      return await io;
    } catch (err) {
      if (err instanceof EngineError) throw err;
      const code = err instanceof Error && "code" in err ? err.code : undefined;
      const full = code === "ENOSPC" || code === "EDQUOT";
      const why = full ? "no space left on device" : messageOf(err);
      throw new EngineError(full ? "unavailable" : "internal", `Write ${this.#name()}: ${why}`, { cause: err });
    }
  }
}
