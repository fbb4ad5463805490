import type { Duplex } from "node:stream";
import type { HijackedStream } from "../../client/mod.ts";
import { type CliIo, write } from "../io.ts";

export interface StreamOptions {
  readonly io: CliIo;
  /** Copy the terminal's or pipe's input to the process. */
  readonly stdin: boolean;
  /** The process has a terminal: bytes are raw, and ours goes into raw mode. */
  readonly tty: boolean;
  /** Leaving is up to the daemon, which watches for the detach keys. */
}

/** Connects this program's streams to a hijacked connection until the process's output ends. Restores the terminal. */
export async function runStreams({ socket }: HijackedStream, options: StreamOptions): Promise<void> {
  const { io } = options;
  const raw = options.tty && options.stdin && io.stdin.isTTY === true;
  if (raw) io.stdin.setRawMode?.(true);
  const stopInput = options.stdin ? copyInput(io, socket) : endInput(socket);
  try {
    if (options.tty) for await (const chunk of socket) await write(io.stdout, chunk as Uint8Array);
    else await demultiplex(socket, io);
  } finally {
    stopInput();
    if (raw) io.stdin.setRawMode?.(false);
    socket.destroy();
  }
}

function endInput(socket: Duplex): () => void {
  socket.end();
  return () => undefined;
}

function copyInput(io: CliIo, socket: Duplex): () => void {
  const onData = (chunk: Uint8Array) => {
    if (!socket.write(chunk)) io.stdin.pause();
  };
  const onDrain = () => io.stdin.resume();
  const onEnd = () => socket.end();
  const onGone = () => undefined; // the process may end while input is still on its way
  io.stdin.on("data", onData).on("end", onEnd);
  socket.on("drain", onDrain).on("error", onGone);
  io.stdin.resume();
  return () => {
    io.stdin.off("data", onData).off("end", onEnd);
    socket.off("drain", onDrain);
    io.stdin.pause();
  };
}

const header = 8;

/** Docker's frames (engine API, "Attach to a container", stream format): stream number, three zeros, length. */
export async function demultiplex(bytes: AsyncIterable<unknown>, io: CliIo): Promise<void> {
  let pending = Buffer.alloc(0);
  for await (const chunk of bytes) {
    pending = pending.length === 0 ? Buffer.from(chunk as Uint8Array) : Buffer.concat([pending, chunk as Uint8Array]);
    pending = await writeFrames(pending, io);
  }
}

async function writeFrames(pending: Buffer, io: CliIo): Promise<Buffer<ArrayBuffer>> {
  let at = 0;
  while (pending.length - at >= header) {
    const length = pending.readUInt32BE(at + 4);
    if (pending.length - at < header + length) break;
    const payload = pending.subarray(at + header, at + header + length);
    await write(pending[at] === 2 ? io.stderr : io.stdout, payload);
    at += header + length;
  }
  return Buffer.from(pending.subarray(at));
}
