import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Bytes } from "../stream/mod.ts";
import { endOf, headText, writeTo } from "./channel.ts";
import type { Headers, HijackedSocket, Reply } from "./http.ts";

export interface HijackParts {
  readonly request: IncomingMessage;
  /** The connection below the request. */
  readonly socket: Duplex;
  /** What the client sends from now on. */
  readonly input: Bytes;
  readonly signal: AbortSignal;
  readonly headers: Headers;
}

/**
 * Hands the connection to the reply. The head goes out as a write of its own before anything else: some clients lose
 * bytes that arrive together with it. With `Upgrade` it is the 101 that the docker CLI asks for ("UPGRADED" is dockerd's
 * word); without, a 200 whose body ends with the connection.
 */
export async function hijack(reply: Reply & { kind: "hijack" }, parts: HijackParts): Promise<void> {
  const { socket, signal } = parts;
  await writeTo(socket, Buffer.from(head(reply.type, parts)), signal);
  await new Promise(setImmediate);
  const hijacked: HijackedSocket = {
    input: parts.input,
    write: (bytes) => writeTo(socket, bytes, signal),
    signal,
    raw: socket,
  };
  await reply.run(hijacked);
  await endOf(socket);
  socket.destroy();
}

function head(type: string, { request, headers }: HijackParts): string {
  const typed = { ...headers, "Content-Type": type };
  if (request.headers.upgrade === undefined) return headText(200, { ...typed, Connection: "close" });
  return headText(101, { ...typed, Connection: "Upgrade", Upgrade: "tcp" }, "UPGRADED");
}
