import { PassThrough } from "node:stream";
import { Queue } from "../../async/mod.ts";
import type { HijackedSocket } from "../../http/mod.ts";
import { fromBuffer, readFrames } from "../../stream/mod.ts";

/** The client's side of a hijacked connection, in memory. */
export class FakeSocket implements HijackedSocket {
  readonly input = new Queue<Uint8Array>();
  readonly raw = new PassThrough();
  readonly written: Uint8Array[] = [];
  readonly #gone = new AbortController();
  /** While it is set, writes wait for it: a client that does not read. */
  block: Promise<void> | undefined;

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.block;
    if (this.#gone.signal.aborted) throw new Error("gone");
    this.written.push(bytes);
  }

  type(text: string): void {
    this.input.push(Buffer.from(text));
  }

  leave(): void {
    this.#gone.abort();
    this.input.close();
  }

  get text(): string {
    return Buffer.concat(this.written).toString();
  }

  /** What came framed, by stream. */
  async streams(): Promise<{ stdout: string; stderr: string }> {
    const found = { stdin: "", stdout: "", stderr: "" };
    for await (const piece of readFrames(fromBuffer(Buffer.concat(this.written)))) {
      found[piece.stream] += Buffer.from(piece.bytes).toString();
    }
    return found;
  }
}
