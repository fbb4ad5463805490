import { closeSync, constants, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import { Queue } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { connectFd } from "./fd-stream.ts";
import type { PacketSocket } from "./host.ts";
import { errno, libc } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const SHUT_WR = 1;
const ENOENT = 2;
const ECONNREFUSED = 111;
/** Above this much unread the socket is not read any more, and the peer stalls. */
const pauseAbove = 4 * 1024 * 1024;

/**
 * Connects to a SOCK_SEQPACKET socket, which node:net cannot; `Bun.connect({ fd })` then gives one data event a packet.
 * Throws "not-found" when there is no such socket or nobody listens.
 */
export async function connectSeqpacket(path: string): Promise<PacketSocket> {
  const fd = libc.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new EngineError("internal", `Make a socket: errno ${errno()}`);
  try {
    connect(fd, path);
  } catch (err) {
    closeSync(fd);
    throw err;
  }
  return wrap(fd);
}

/** By way of the directory's descriptor, because sun_path takes 107 bytes only. */
function connect(fd: number, path: string): void {
  const directory = openDirectory(path);
  try {
    const name = `/proc/self/fd/${directory}/${basename(path)}`;
    const code = connectName(fd, name);
    if (code === 0) return;
    const kind = code === ENOENT || code === ECONNREFUSED ? "not-found" : "internal";
    throw new EngineError(kind, `Connect to ${path}: errno ${code}`);
  } finally {
    closeSync(directory);
  }
}

function openDirectory(path: string): number {
  const O_PATH = 0o10000000;
  try {
    return openSync(dirname(path), O_PATH | constants.O_DIRECTORY);
  } catch (err) {
    throw new EngineError("not-found", `Connect to ${path}: no such directory`, { cause: err });
  }
}

/** Gives errno or 0. */
function connectName(fd: number, name: string): number {
  const address = socketAddress(name);
  return libc.connect(fd, address, address.length) === 0 ? 0 : errno();
}

/** struct sockaddr_un. Throws "invalid" for a name that does not fit into it. */
export function socketAddress(name: string): Buffer {
  const bytes = Buffer.from(name);
  if (bytes.length > 107 || bytes.includes(0))
    throw new EngineError("invalid", `Bad socket name ${JSON.stringify(name)}`);
  const address = Buffer.alloc(2 + bytes.length + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  bytes.copy(address, 2);
  return address;
}

async function wrap(fd: number): Promise<PacketSocket> {
  const packets = new PacketQueue();
  const socket = await connectFd(fd, packets.handlers);
  return new Connection(fd, socket, packets);
}

/** What has come and nobody has read yet, and who waits for room to write. */
class PacketQueue {
  readonly #queue = new Queue<Uint8Array>();
  #unread = 0;
  #socket: Bun.Socket | undefined;
  #writable = Promise.withResolvers<void>();
  closed = false;

  readonly handlers = {
    data: (socket: Bun.Socket, bytes: Uint8Array) => {
      this.#socket = socket;
      this.#unread += bytes.length;
      this.#queue.push(bytes);
      if (this.#unread > pauseAbove) socket.pause();
    },
    drain: () => this.#wake(),
    end: (socket: Bun.Socket) => {
      this.#queue.close();
      socket.end();
    },
    close: () => this.#close(),
    // A peer that died with unread data resets the connection; for who reads, that is an end like any other.
    error: () => this.#close(),
  };

  async *read(): AsyncGenerator<Uint8Array> {
    for await (const bytes of this.#queue) {
      this.#unread -= bytes.length;
      yield bytes;
      if (this.#unread <= pauseAbove && !this.closed) this.#socket?.resume();
    }
  }

  writable(): Promise<void> {
    return this.#writable.promise;
  }

  #wake(): void {
    this.#writable.resolve();
    this.#writable = Promise.withResolvers();
  }

  #close(): void {
    this.closed = true;
    this.#queue.close();
    this.#wake();
  }
}

class Connection implements PacketSocket {
  readonly #fd: number;
  readonly #socket: Bun.Socket;
  readonly #queue: PacketQueue;
  readonly packets: AsyncIterable<Uint8Array>;
  #tail: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(fd: number, socket: Bun.Socket, queue: PacketQueue) {
    this.#fd = fd;
    this.#socket = socket;
    this.#queue = queue;
    this.packets = queue.read();
  }

  /** Writes go one after the other. Throws "unavailable" when the peer is gone or `end` was called. */
  write(packet: Uint8Array): Promise<void> {
    const done = this.#tail.then(() => this.#write(packet));
    this.#tail = done.catch(() => undefined);
    return done;
  }

  async #write(packet: Uint8Array): Promise<void> {
    if (packet.length === 0) return; // an empty packet reads as the end
    for (;;) {
      if (this.#queue.closed || this.#ended) throw new EngineError("unavailable", "Write to a socket that is closed");
      const taken = this.#socket.write(packet);
      if (taken === packet.length) return;
      await this.#queue.writable();
    }
  }

  end(): void {
    this.#tail = this.#tail.then(() => {
      if (!this.#ended && !this.#queue.closed) libc.shutdown(this.#fd, SHUT_WR);
      this.#ended = true;
    });
  }

  [Symbol.dispose](): void {
    if (!this.#queue.closed) this.#socket.terminate();
  }
}
