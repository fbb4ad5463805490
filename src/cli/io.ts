import type { Readable, Writable } from "node:stream";

/** What a command may touch of its terminal; tests put streams of their own here. */
export interface CliIo {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Calls back for every signal of that name until the returned function is called. */
  onSignal(signal: NodeJS.Signals, handle: () => void): () => void;
}

export function processIo(): CliIo {
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    onSignal(signal, handle) {
      process.on(signal, handle);
      return () => process.off(signal, handle);
    },
  };
}

/** Colours only where a person looks and has not said no (https://no-color.org). */
export function colours(io: CliIo): boolean {
  return io.stdout.isTTY === true && !io.env["NO_COLOR"] && io.env["TERM"] !== "dumb";
}

/** Writes and waits for the stream to take it. */
export function print(io: CliIo, text: string): Promise<void> {
  return write(io.stdout, text);
}

export function write(stream: Writable, bytes: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => stream.write(bytes, (err) => (err ? reject(err) : resolve())));
}
