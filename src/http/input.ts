import type { Readable } from "node:stream";
import { EngineError } from "../errors/mod.ts";
import type { Bytes } from "../stream/mod.ts";

/** A consumer that lags this many bytes behind stops the sender. */
const highWater = 256 * 1024;

/** What is gathered is told of at this many bytes, or after this many milliseconds. */
const gathered = { bytes: 64 * 1024, ms: 2 };

export interface InputOptions {
  /**
   * True for what no one types: docker's CLI puts a chunk around every few hundred bytes of a build context, and telling of
   * each costs the reader, and whoever reads from it in turn, more than the bytes do.
   */
  readonly gather?: boolean;
}

/**
 * A stream's bytes, pulled. Unlike the stream's own iterator, stopping early leaves the stream and its connection alone,
 * so that an answer can still be written. Listening starts with the first read, or at once after {@link preceded}.
 */
export class Input implements Bytes {
  readonly #stream: Readable;
  readonly #gather: boolean;
  readonly #chunks: Uint8Array[] = [];
  #queued = 0;
  #ended = false;
  #failure: unknown;
  #wake: (() => void) | undefined;
  #listening = false;
  #soon: ReturnType<typeof setTimeout> | undefined;

  constructor(stream: Readable, { gather = false }: InputOptions = {}) {
    this.#stream = stream;
    this.#gather = gather;
  }

  /** Starts listening; `first` are bytes of the stream that somebody else has read already. */
  preceded(first: Uint8Array): this {
    this.#listen();
    if (first.length > 0) this.#push(first);
    return this;
  }

  /** True when everything the sender had to say was received. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Discards what is still to come, at most `limit` bytes of it; false when there was more or the sender went away. */
  async drain(limit: number): Promise<boolean> {
    let left = limit;
    try {
      for await (const chunk of this) {
        left -= chunk.length;
        if (left < 0) return false;
      }
      return true;
    } catch {
      return false; // nobody is left to be told
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    this.#listen();
    for (;;) {
      const chunk = this.#take();
      if (chunk) {
        this.#took(chunk.length);
        yield chunk;
      } else if (this.#failure !== undefined) throw this.#failure;
      else if (this.#ended) return;
      else await this.#more();
    }
  }

  /** All that has come, in one piece: each piece costs its reader a turn. */
  #take(): Uint8Array | undefined {
    const chunks = this.#chunks.splice(0);
    return chunks.length > 1 ? Buffer.concat(chunks) : chunks[0];
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    if (this.#stream.readableEnded) this.#ended = true;
    else if (this.#stream.destroyed) this.#fail();
    this.#stream.on("data", (chunk: Uint8Array) => this.#push(chunk));
    this.#stream.on("end", () => this.#finish());
    this.#stream.on("error", () => this.#fail());
    this.#stream.on("close", () => this.#fail());
  }

  #push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#queued += chunk.length;
    if (this.#queued > highWater) this.#stream.pause();
    if (this.#gather && this.#queued < gathered.bytes) this.#soon ??= setTimeout(() => this.#tell(), gathered.ms);
    else this.#tell();
  }

  #tell(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#wake?.();
  }

  #took(length: number): void {
    const before = this.#queued;
    this.#queued -= length;
    if (before > highWater && this.#queued <= highWater) this.#stream.resume();
  }

  #finish(): void {
    this.#ended = true;
    this.#tell();
  }

  #fail(): void {
    if (!this.#ended)
      this.#failure ??= new EngineError("canceled", "The client went away in the middle of its request");
    this.#tell();
  }
}
