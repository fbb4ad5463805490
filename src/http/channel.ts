import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex, Writable } from "node:stream";
import { EngineError } from "../errors/mod.ts";
import type { Headers } from "./http.ts";

/** Where one answer goes: a response of the server, or a bare connection after `Upgrade`. */
export interface Channel {
  /** Aborts when the client leaves before {@link end} is through. */
  readonly signal: AbortSignal;
  /** For HEAD: the head is sent, a body is not. */
  readonly bodiless: boolean;
  /** True once a head may have left: from then on no other answer is possible. */
  readonly started: boolean;
  head(status: number, headers: Headers): void;
  /** Sends the head now, although no byte of the body is known. */
  flush(): void;
  /** Waits while the client does not take what it was sent; rejects when it is gone. */
  write(bytes: Uint8Array): Promise<void>;
  end(last?: string): Promise<void>;
  destroy(): void;
}

/** Aborts `abort` when the stream closes before `done()` says that all was well. */
export function watch(stream: Writable, done: () => boolean): AbortController {
  const abort = new AbortController();
  const gone = () => {
    if (!done()) abort.abort(new EngineError("canceled", "The client went away"));
  };
  stream.on("close", gone);
  stream.on("error", gone);
  return abort;
}

/** Writes with back-pressure. */
export async function writeTo(stream: Writable, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (stream.destroyed || stream.writableEnded) throw new EngineError("canceled", "The connection is closed");
  if (bytes.length === 0 || stream.write(bytes)) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const gone = () => reject(signal.reason ?? new EngineError("canceled", "The client went away"));
  stream.once("drain", resolve);
  stream.once("close", gone);
  signal.addEventListener("abort", gone, { once: true });
  await promise.finally(() => {
    stream.off("drain", resolve);
    stream.off("close", gone);
    signal.removeEventListener("abort", gone);
  });
}

/** Resolves when the last byte was handed to the kernel, or the connection is gone. */
export function endOf(stream: Writable, last?: string): Promise<void> {
  return new Promise((resolve) => {
    stream.once("close", resolve);
    if (stream.destroyed) resolve();
    else if (last === undefined) stream.end(() => resolve());
    else stream.end(last, () => resolve());
  });
}

export function responseChannel(request: IncomingMessage, response: ServerResponse): Channel {
  const abort = watch(response, () => response.writableFinished);
  request.on("error", () => undefined); // the abort is told by the response's "close"
  return {
    signal: abort.signal,
    bodiless: request.method === "HEAD",
    get started() {
      return response.headersSent;
    },
    head: (status, headers) => void response.writeHead(status, headers),
    flush: () => response.flushHeaders(),
    write: (bytes) => writeTo(response, bytes, abort.signal),
    end: (last) => endOf(response, last),
    destroy: () => void request.socket.destroy(),
  };
}

/** After `Upgrade` the connection is ours: an ordinary answer is written by hand and ends with the connection. */
export function connectionChannel(request: IncomingMessage, socket: Duplex): Channel {
  let ended = false;
  let started = false;
  let pending = "";
  const abort = watch(socket, () => ended);
  const takeHead = () => {
    const head = pending;
    pending = "";
    return head;
  };
  const send = (bytes: Uint8Array) => writeTo(socket, bytes, abort.signal);
  return {
    signal: abort.signal,
    bodiless: request.method === "HEAD",
    get started() {
      return started;
    },
    head: (status, headers) => {
      started = true;
      pending = headText(status, { ...headers, Connection: "close" });
    },
    flush: () => void socket.write(takeHead()),
    write: (bytes) => send(pending === "" ? bytes : Buffer.concat([Buffer.from(takeHead()), bytes])),
    end: async (last) => {
      ended = true;
      await endOf(socket, takeHead() + (last ?? ""));
      socket.destroy();
    },
    destroy: () => void socket.destroy(),
  };
}

/** A response head as text. Throws "internal" for a header that would break out of its line. */
export function headText(status: number, headers: Headers, reason = STATUS_CODES[status] ?? "Unknown"): string {
  const lines = Object.entries(headers).map(([name, value]) => {
    if (/[\r\n\0]/.test(name + value)) throw new EngineError("internal", `Header ${name} holds a line break`);
    return `${name}: ${value}\r\n`;
  });
  return `HTTP/1.1 ${status} ${reason}\r\n${lines.join("")}\r\n`;
}
