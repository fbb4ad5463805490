import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Bytes } from "../stream/mod.ts";
import { endOf, headText, writeTo } from "./channel.ts";
import type { Headers, HijackedSocket, Reply } from "./http.ts";
import type { TakeoverReply } from "./reply.ts";
import { webSocket, webSocketHeaders } from "./websocket.ts";

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
export async function takeOver(reply: TakeoverReply, parts: HijackParts): Promise<void> {
  const { socket, signal, input } = parts;
  try {
    await writeTo(socket, Buffer.from(headOf(reply, parts)), signal);
  } catch (err) {
    reply.abandon?.();
    throw err;
  }
  await new Promise(setImmediate);
  const hijacked: HijackedSocket = { input, write: (bytes) => writeTo(socket, bytes, signal), signal, raw: socket };
  try {
    await (reply.kind === "hijack" ? reply.run(hijacked) : runWebSocket(reply, hijacked));
  } finally {
    await endOf(socket); // also after a failure: an answer in the middle of a stream would be taken for a part of it
    socket.destroy();
  }
}

export function takesOver(reply: Reply): reply is TakeoverReply {
  return reply.kind === "hijack" || reply.kind === "websocket";
}

async function runWebSocket(reply: TakeoverReply & { kind: "websocket" }, hijacked: HijackedSocket): Promise<void> {
  const framed = webSocket(hijacked, reply.messages);
  await reply.run(framed);
  await framed.end().catch(() => undefined); // the client has closed it, or left
}

function headOf(reply: TakeoverReply, parts: HijackParts): string {
  if (reply.kind === "hijack") return head(reply, parts);
  return headText(101, { ...parts.headers, ...webSocketHeaders(parts.request) });
}

function head(
  { type, protocol = "tcp" }: TakeoverReply & { kind: "hijack" },
  { request, headers }: HijackParts,
): string {
  const typed = { ...headers, "Content-Type": type };
  if (request.headers.upgrade === undefined) return headText(200, { ...typed, Connection: "close" });
  return headText(101, { ...typed, Connection: "Upgrade", Upgrade: protocol }, "UPGRADED");
}
