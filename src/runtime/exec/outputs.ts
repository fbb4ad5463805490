import type { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Queue } from "../../async/mod.ts";
import type { Child } from "../../host/mod.ts";
import type { TaskStreams } from "../runtime.ts";

type Chunk = TaskStreams["output"] extends AsyncIterable<infer T> ? T : never;
type Name = Chunk["stream"];

export interface Source {
  readonly stream: Readable;
  /** How many bytes nobody has read yet, or some number above 0 where that is not known. */
  readonly unread: () => number;
}

interface Open extends Source {
  taken: number;
}

/** Above this many bytes that nobody has taken the process has to wait, as for any pipe. */
const backlog = 256 * 1024;
/** What may be on its way between the pipe and us. */
const inFlight = 256 * 1024;

/**
 * What a process writes, in one stream. It ends with the process, not with the last that holds its pipes: what it left behind in
 * the background keeps nobody waiting. What was written before its end is all there.
 */
export class Outputs {
  readonly #open = new Map<Name, Open>();
  readonly #queue = new Queue<Chunk>();
  #waiting = 0;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(sources: ReadonlyMap<Name, Source>) {
    for (const [name, source] of sources) this.#listen(name, source);
  }

  push(stream: Name, bytes: Uint8Array): void {
    this.#queue.push({ stream, bytes });
    this.#waiting += bytes.length;
    if (this.#waiting <= backlog || this.#room) return;
    this.#room = Promise.withResolvers();
    for (const { stream: source } of this.#open.values()) source.pause();
  }

  async *read(): AsyncGenerator<Chunk> {
    for await (const chunk of this.#queue) {
      yield chunk;
      this.#waiting -= chunk.bytes.length;
      if (this.#waiting <= backlog) this.#goOn();
    }
  }

  /** The process has ended: what is there already is read, and then it is over. */
  async finish(): Promise<void> {
    await Promise.all([...this.#open].map(([name, source]) => this.#drain(name, source)));
    this.stop();
  }

  stop(): void {
    for (const { stream } of this.#open.values()) stream.destroy();
    this.#open.clear();
    this.#queue.close();
    this.#goOn();
  }

  #listen(name: Name, source: Source): void {
    const open: Open = { ...source, taken: 0 };
    this.#open.set(name, open);
    const over = () => this.#open.delete(name);
    source.stream.on("data", (bytes: Uint8Array) => {
      open.taken += bytes.length;
      this.push(name, bytes);
    });
    // A terminal ends with EIO, when the last that had it open has closed it.
    source.stream.once("end", over).once("error", over).once("close", over);
  }

  #goOn(): void {
    if (!this.#room) return;
    this.#room.resolve();
    this.#room = undefined;
    for (const { stream } of this.#open.values()) stream.resume();
  }

  async #drain(name: Name, source: Open): Promise<void> {
    const most = source.taken + source.unread() + inFlight;
    for (let before = -1; this.#open.has(name) && source.taken < most; ) {
      if (this.#room) await this.#room.promise;
      else if (source.taken === before && source.unread() === 0) return;
      else {
        before = source.taken;
        await nextTurns();
      }
    }
  }
}

/** What the kernel has ready is delivered within one turn of the event loop; one more, for the stream in between. */
async function nextTurns(): Promise<void> {
  await nextTurn();
  await nextTurn();
}

/** The standard output and error of a child that has pipes for them. */
export function pipesOf(child: Child): Map<Name, Source> {
  const found = new Map<Name, Source>();
  for (const [name, number] of [
    ["stdout", 1],
    ["stderr", 2],
  ] as const) {
    const stream = child.pipes.get(number);
    if (stream) found.set(name, { stream, unread: () => child.unread(number) });
  }
  return found;
}
