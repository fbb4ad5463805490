import type { Socket } from "bun";
import { Bell } from "../async/mod.ts";
import { type Address, hostHeader } from "./address.ts";
import type { ClientRequest, HijackedStream } from "./client.ts";
import { noAnswer, refusal } from "./failure.ts";
import { type Answer, readAnswer } from "./head.ts";
import { requestHeaders, requestPath } from "./request.ts";

/**
 * Asks for an upgrade and hands the raw connection over. On Bun's own sockets: node's give up what they have received when a
 * write fails, and a process may end, its output on the way, while input is still being sent. They also load 5 ms faster.
 */
export async function hijackConnection(
  request: ClientRequest,
  { host, address }: { readonly host: string; readonly address: Address },
): Promise<HijackedStream> {
  const connection = new Connection();
  const socket = await connection.open(address).catch((err) => {
    throw noAnswer(err, host);
  });
  await connection.write(head(request, address));
  const answer = await readAnswer(connection.received());
  if (!answer) throw noAnswer(new Error("it closed the connection"), host);
  if (answer.status >= 400) throw await refused(answer, socket);
  return {
    contentType: answer.headers.get("content-type") ?? "",
    output: answer.rest,
    write: (bytes) => connection.write(bytes),
    end: () => connection.end(),
    close: () => connection.close(),
  };
}

function head(request: ClientRequest, address: Address): Buffer {
  const body = request.body === undefined ? "" : JSON.stringify(request.body);
  const headers = {
    Host: hostHeader(address),
    ...requestHeaders(request),
    "Content-Length": String(Buffer.byteLength(body)),
    Connection: "Upgrade",
    Upgrade: request.upgrade ?? "tcp",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${request.method} ${requestPath(request)} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
}

async function refused(answer: Answer, socket: Socket): Promise<Error> {
  const text = await answer.text();
  socket.end();
  return refusal({ status: answer.status, text });
}

/** Received and not yet asked for, in bytes: above it the other side has to wait. */
const enough = 1 << 20;

class Connection {
  readonly #chunks: Uint8Array[] = [];
  #size = 0;
  #socket: Socket | undefined;
  #closed = false;
  readonly #arrived = new Bell();
  readonly #drained = new Bell();

  async open(address: Address): Promise<Socket> {
    const socket = {
      data: (_: Socket, chunk: Uint8Array) => this.#take(chunk),
      drain: () => this.#drained.ring(),
      end: () => this.#finish(),
      close: () => this.#finish(),
      error: () => this.#finish(),
    };
    const common = { socket, allowHalfOpen: true };
    this.#socket = await ("socketPath" in address
      ? Bun.connect({ unix: address.socketPath, ...common })
      : Bun.connect({ ...address, ...common }));
    return this.#socket;
  }

  /** Bytes in the order of their arrival, until the other side ends. A connection that breaks ends too: whoever waits for the process is told what happened to it. */
  async *received(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        this.#size -= chunk.length;
        if (this.#size < enough) this.#socket?.resume();
        yield chunk;
      } else if (this.#closed) return;
      else await this.#arrived.rung;
    }
  }

  /** True when the kernel has taken all of it, false when nobody is there to read it any more. */
  async write(bytes: Uint8Array): Promise<boolean> {
    let rest = bytes;
    while (rest.length > 0 && !this.#closed) {
      const drained = this.#drained.rung;
      const taken = this.#socket?.write(rest) ?? -1;
      if (taken < 0) return false;
      rest = rest.subarray(taken);
      if (rest.length > 0) await drained;
    }
    return rest.length === 0;
  }

  end(): void {
    if (!this.#closed) this.#socket?.shutdown();
  }

  close(): void {
    this.#socket?.terminate();
    this.#finish();
  }

  #take(chunk: Uint8Array): void {
    this.#chunks.push(Uint8Array.from(chunk));
    this.#size += chunk.length;
    if (this.#size >= enough) this.#socket?.pause();
    this.#arrived.ring();
  }

  #finish(): void {
    this.#closed = true;
    this.#arrived.ring();
    this.#drained.ring();
  }
}
