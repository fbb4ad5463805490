import type { Ingest } from "../content/mod.ts";
import type { GrowingFile, LayerSource } from "../layers/mod.ts";
import { type Descriptor, type Digest, hexOf } from "../oci/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type { ProgressSink } from "../wire/mod.ts";

/** Progress of a transfer is told at most once in so many milliseconds per layer. */
const progressInterval = 100;

/** A layer's name in progress lines. */
export function shortId(digest: Digest): string {
  return hexOf(digest).slice(0, 12);
}

/** Passes on `current` and `total` now and then, and at the end. */
export class Meter {
  readonly #progress: ProgressSink;
  readonly #line: { readonly id: string; readonly status: string; readonly total: number };
  #current = 0;
  #told = 0;

  constructor(progress: ProgressSink, line: { readonly id: string; readonly status: string; readonly total: number }) {
    this.#progress = progress;
    this.#line = line;
  }

  add(bytes: number): void {
    this.#current += bytes;
    const now = performance.now();
    if (now - this.#told < progressInterval && this.#current < this.#line.total) return;
    this.#told = now;
    const { id, status, total } = this.#line;
    this.#progress({ status, progressDetail: { current: this.#current, total }, id });
  }
}

/** The main thread's end of a {@link GrowingFile}: counter and state as 32-bit words, then the length as a 64-bit one. */
class Growth {
  readonly file: GrowingFile;
  readonly #words: Int32Array;
  readonly #length: BigInt64Array;

  constructor(path: string) {
    this.file = { path, state: new SharedArrayBuffer(16) };
    this.#words = new Int32Array(this.file.state, 0, 2);
    this.#length = new BigInt64Array(this.file.state, 8, 1);
  }

  grownTo(length: number): void {
    Atomics.store(this.#length, 0, BigInt(length));
    this.#wake();
  }

  end(state: "complete" | "failed"): void {
    Atomics.store(this.#words, 1, state === "complete" ? 1 : 2);
    this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#words, 0, 1);
    Atomics.notify(this.#words, 0);
  }
}

/** A layer on its way into the content store, which can be unpacked meanwhile. */
export class Download {
  readonly blob: Descriptor;
  readonly #ingest: Ingest;
  readonly #growth: Growth;
  readonly #ready = Promise.withResolvers<void>();
  #complete = false;

  constructor(blob: Descriptor, ingest: Ingest) {
    this.blob = blob;
    this.#ingest = ingest;
    this.#growth = new Growth(ingest.path);
    this.#ready.promise.catch(() => undefined); // nobody may be unpacking it
  }

  get source(): Pick<LayerSource, "blob" | "ready" | "partial"> {
    return { blob: this.blob, ready: this.#ready.promise, partial: this.#growth.file };
  }

  /** Takes the bytes to their end, verifies and publishes them. */
  async receive(bytes: Bytes, progress: ProgressSink): Promise<void> {
    const id = shortId(this.blob.digest);
    const meter = new Meter(progress, { id, status: "Downloading", total: this.blob.size });
    for await (const piece of bytes) {
      await this.#ingest.write(piece);
      this.#growth.grownTo(this.#ingest.offset);
      meter.add(piece.length);
    }
    progress({ status: "Verifying Checksum", progressDetail: {}, id });
    await this.#ingest.commit();
    this.#complete = true;
    this.#growth.end("complete");
    this.#ready.resolve();
    progress({ status: "Download complete", progressDetail: {}, id });
  }

  /** After a failure: whoever follows the file stops. No effect on a download that is complete. */
  async abandon(reason: unknown): Promise<void> {
    if (this.#complete) return;
    this.#ready.reject(reason);
    this.#growth.end("failed");
    await this.#ingest.abort();
  }
}
