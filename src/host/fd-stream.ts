import { closeSync } from "node:fs";
import { Duplex } from "node:stream";
import { EngineError } from "../errors/mod.ts";
import { address, errno, libc } from "./libc.ts";

const O_CLOEXEC = 0o2000000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;

export interface FdPair {
  readonly ours: number;
  readonly theirs: number;
}

/** A pipe; `ours` is the end that the parent keeps. Pipes, not sockets, for stdio: a program may open /dev/stderr by name. */
export function pipePair(weRead: boolean): FdPair {
  const fds = new Int32Array(2);
  if (libc.pipe2(new Uint8Array(fds.buffer), O_CLOEXEC) !== 0) {
    throw new EngineError("internal", `Make a pipe: errno ${errno()}`);
  }
  const [read = -1, write = -1] = fds;
  return weRead ? { ours: read, theirs: write } : { ours: write, theirs: read };
}

/** A connected pair of stream sockets: for descriptors above 2, whose direction only the child knows. */
export function socketPair(): FdPair {
  const fds = new Int32Array(2);
  const SYS_SOCKETPAIR = process.arch === "arm64" ? 199n : 53n;
  const buffer = new Uint8Array(fds.buffer);
  const failed = libc.syscall(
    SYS_SOCKETPAIR,
    BigInt(AF_UNIX),
    BigInt(SOCK_STREAM | O_CLOEXEC),
    0n,
    address(buffer),
    0n,
    0n,
  );
  if (Number(failed) !== 0) throw new EngineError("internal", `Make a socket pair: errno ${errno()}`);
  const [ours = -1, theirs = -1] = fds;
  return { ours, theirs };
}

/** The reading end of a pipe as a stream. Takes over the descriptor. Nothing is read ahead of who reads, beyond one buffer. */
export function pipeReader(fd: number): Duplex {
  // Bun duplicates the descriptor when the stream is opened by its first read, hence the close after that.
  const reader = Bun.file(fd).stream().getReader();
  let closed = false;
  const close = () => {
    if (!closed) closeSync(fd);
    closed = true;
  };
  const stream: Duplex = new Duplex({
    allowHalfOpen: false,
    writableHighWaterMark: 0,
    read() {
      reader.read().then(
        (chunk) => stream.push(chunk.done ? null : chunk.value),
        (err: Error) => stream.destroy(err),
      );
    },
    write: (_chunk, _encoding, done) => done(new Error("This end of the pipe is for reading")),
    destroy(err, done) {
      reader.cancel().then(
        () => finish(err, done),
        () => finish(err, done),
      );
    },
  });
  const finish = (err: Error | null, done: (err: Error | null) => void) => {
    close();
    done(err);
  };
  return stream;
}

/** The writing end of a pipe as a stream. Takes over the descriptor; `end` closes it. */
export function pipeWriter(fd: number): Duplex {
  const sink = Bun.file(fd).writer();
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    closeSync(fd);
    await sink.end();
  };
  const stream = new Duplex({
    read: () => undefined,
    write(chunk: Uint8Array, _encoding, done) {
      sink.write(chunk);
      settle(Promise.resolve(sink.flush()), done);
    },
    final: (done) => settle(close(), done),
    destroy: (err, done) => settle(close(), (failed) => done(err ?? failed ?? null)),
  });
  stream.push(null);
  stream.resume(); // an unread end would keep "close" from ever coming
  return stream;
}

/**
 * Our end of a socket pair as a stream; `end` half-closes, reading stops (and so the child stalls) while nobody reads.
 * Takes over the descriptor. `Bun.connect` is used because `net.Socket({ fd })` closes at once in Bun 1.4.
 */
export function socketStream(fd: number): Duplex {
  const drained = new Signal();
  const stream: Duplex = new Duplex({
    allowHalfOpen: true,
    read() {
      opened.then((socket) => socket.resume()).catch(() => undefined); // whoever reads learns it from "error"
    },
    write(chunk: Uint8Array, _encoding, done) {
      settle(
        opened.then((socket) => writeAll(socket, { chunk, drained })),
        done,
      );
    },
    final: (done) =>
      settle(
        opened.then((socket) => socket.shutdown()),
        done,
      ),
    destroy: (err, done) =>
      settle(
        opened.then((socket) => socket.terminate()),
        () => done(err),
      ),
  });
  const opened = connectFd(fd, {
    data(socket, bytes) {
      if (!stream.push(bytes)) socket.pause();
    },
    drain: () => drained.fire(),
    end: () => void stream.push(null),
    close() {
      drained.fire();
      stream.push(null);
    },
    error: (_socket, err) => void stream.destroy(err),
  });
  opened.catch((err: Error) => stream.destroy(err));
  return stream;
}

/** A socket of Bun's around a connected one, which it takes over. `fd` is missing in the type of the options, not in Bun. */
export function connectFd(fd: number, socket: Bun.SocketHandler<undefined>): Promise<Bun.Socket<undefined>> {
  const options: unknown = { fd, allowHalfOpen: true, socket };
  return Bun.connect(options as Bun.UnixSocketOptions<undefined>);
}

/** A wake-up for whoever waits now; nothing is remembered for later. */
class Signal {
  #waiting = Promise.withResolvers<void>();

  fire(): void {
    this.#waiting.resolve();
    this.#waiting = Promise.withResolvers();
  }

  wait(): Promise<void> {
    return this.#waiting.promise;
  }
}

async function writeAll(socket: Bun.Socket, work: { chunk: Uint8Array; drained: Signal }): Promise<void> {
  let rest = work.chunk;
  while (rest.length > 0) {
    const taken = socket.write(rest);
    if (taken < 0) throw new EngineError("internal", "Write to a child: it has closed its end");
    rest = rest.subarray(taken);
    if (rest.length > 0) await work.drained.wait();
  }
}

function settle(work: Promise<unknown>, done: (err?: Error | null) => void): void {
  work.then(
    () => done(),
    (err: Error) => done(err),
  );
}
