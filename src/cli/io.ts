import { fstatSync, write, writeSync } from "node:fs";
import type { Readable, Writable } from "node:stream";

/** What a command may touch of its terminal; tests put streams of their own here. */
export interface CliIo {
  /** Touched only by commands that read it: asking for it is what starts it. */
  readonly stdin: Readable & { readonly isTTY?: boolean };
  /** Puts the terminal that standard input is into raw mode, until disposed. */
  rawInput(): Promise<Disposable>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Calls back for every signal of that name until the returned function is called; the signal then no longer ends this program. */
  onSignal(signal: NodeJS.Signals, handle: () => void): () => void;
  /** Calls back when this program ends, however that comes about (but for SIGKILL), until the returned function is called. */
  onExit(handle: () => void): () => void;
}

export interface Output {
  readonly isTTY: boolean;
  /** Characters in a line; undefined where there is no terminal. */
  readonly columns: number | undefined;
  readonly rows: number | undefined;
  /** A command's own words, short: may block until the reader takes them. */
  print(text: string): Promise<void>;
  /** One piece of a stream; done when it has been taken, and signals are heard meanwhile. */
  write(bytes: string | Uint8Array): Promise<void>;
}

export function processIo(): CliIo {
  return {
    get stdin() {
      return process.stdin;
    },
    async rawInput() {
      const { rawTerminal } = await import("../host/mod.ts"); // loaded by the few commands that have a terminal of their own
      return rawTerminal(0);
    },
    stdout: new ProcessOutput(1, () => process.stdout),
    stderr: new ProcessOutput(2, () => process.stderr),
    env: process.env,
    cwd: process.cwd(),
    onSignal(signal, handle) {
      process.on(signal, handle);
      return () => process.off(signal, handle);
    },
    onExit(handle) {
      process.on("exit", handle);
      return () => process.off("exit", handle);
    },
  };
}

type Stream = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };

/**
 * A standard stream by its descriptor. `process.stdout` takes 10 ms to load, longer than all the rest of a `berth ps`, so it
 * is asked only about a terminal, and for help where a descriptor does not block.
 */
class ProcessOutput implements Output {
  readonly #fd: number;
  readonly #open: () => Stream;
  #stream: Stream | undefined;

  constructor(fd: number, open: () => Stream) {
    this.#fd = fd;
    this.#open = open;
  }

  get isTTY(): boolean {
    return isDevice(this.#fd) && this.#opened().isTTY === true;
  }

  get columns(): number | undefined {
    return this.isTTY ? this.#opened().columns : undefined;
  }

  get rows(): number | undefined {
    return this.isTTY ? this.#opened().rows : undefined;
  }

  async print(text: string): Promise<void> {
    await this.#writeAll(Buffer.from(text), async (rest) => writeSync(this.#fd, rest));
  }

  async write(bytes: string | Uint8Array): Promise<void> {
    await this.#writeAll(typeof bytes === "string" ? Buffer.from(bytes) : bytes, (rest) =>
      writeInThread(this.#fd, rest),
    );
  }

  async #writeAll(bytes: Uint8Array, take: (rest: Uint8Array) => Promise<number>): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) at += await this.#taken(bytes.subarray(at), take);
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code === "EPIPE") readerGone();
      throw err;
    }
  }

  /** Somebody (a shell's other job, our own terminal's input) may have made the descriptor non-blocking: then it can be full. */
  async #taken(rest: Uint8Array, take: (rest: Uint8Array) => Promise<number>): Promise<number> {
    try {
      return await take(rest);
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== "EAGAIN") throw err;
      const stream = this.#opened();
      await new Promise<void>((resolve, reject) =>
        stream.write(rest, (failed) => (failed ? reject(failed) : resolve())),
      );
      return rest.length;
    }
  }

  #opened(): Stream {
    if (!this.#stream) {
      this.#stream = this.#open();
      this.#stream.on("error", () => undefined); // whoever writes is told
    }
    return this.#stream;
  }
}

function writeInThread(fd: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => write(fd, bytes, (err, count) => (err ? reject(err) : resolve(count))));
}

function isDevice(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice();
  } catch {
    return false; // closed (`>&-`)
  }
}

/** The reader (`head`, `less`) has seen enough: ends as SIGPIPE would end any other program. */
function readerGone(): never {
  process.exit(141);
}

/** Colours only where a person looks and has not said no (https://no-color.org). */
export function colours({ stdout, env }: CliIo): boolean {
  return !env["NO_COLOR"] && env["TERM"] !== "dumb" && stdout.isTTY;
}

export function print(io: CliIo, text: string): Promise<void> {
  return io.stdout.print(text);
}

/** For people: what went wrong, warnings, questions. */
export function tell(io: CliIo, text: string): Promise<void> {
  return io.stderr.print(text);
}
