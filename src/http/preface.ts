import type { Duplex } from "node:stream";

/** What an HTTP/2 connection begins with (RFC 9113, section 3.4), made so that a server of HTTP/1 stops at it. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/**
 * Takes a connection over that began with HTTP/2's preface, which is how Bun's parser of HTTP/1 fails at it (`clientError`),
 * and gives all that came until now, from the preface on; what comes later is the socket's to read. Must be called before
 * the event is over, or bytes get lost. Undefined for any other failure, and where the socket cannot be taken over.
 */
export function takeHttp2(err: unknown, socket: Duplex): Uint8Array | undefined {
  const { code, rawPacket } = err as { readonly code?: unknown; readonly rawPacket?: unknown };
  if (code !== "HPE_PAUSED_H2_UPGRADE" || !(rawPacket instanceof Uint8Array)) return undefined;
  const rest = afterPreface(rawPacket);
  return rest && detach(socket) ? Buffer.concat([preface, rest]) : undefined;
}

/** The packet in which the preface ended may have the whole of it, or, when it came in pieces, its end only. */
function afterPreface(packet: Uint8Array): Uint8Array | undefined {
  for (let start = 0; start < preface.length; start++) {
    const end = preface.subarray(start);
    if (end.equals(packet.subarray(0, end.length))) return packet.subarray(end.length);
  }
  return undefined;
}

/** Of Bun's own connection below a socket of node:http's server. */
interface Handle {
  upgradeToTunnel(): void;
  readStart(): void;
  readStop(): void;
}

/**
 * Makes the socket one that can be read, as Bun does before its "upgrade" event and by the same means, which have no public
 * name: without it the parser, which has failed, goes on taking what arrives, and drops it.
 */
function detach(socket: Duplex): boolean {
  const handle = member(socket, "handle");
  const stream = member(socket, "kEnableStreaming");
  if (!isHandle(handle) || typeof stream !== "function") return false;
  handle.upgradeToTunnel();
  stream.call(socket, true);
  stayOpen(socket, handle);
  return true;
}

function isHandle(value: unknown): value is Handle {
  const methods = ["upgradeToTunnel", "readStart", "readStop"];
  return methods.every((name) => typeof Reflect.get(Object(value), name) === "function");
}

/** Milliseconds; Bun closes a connection that has had no whole request for 10 s, whatever else it carries. */
const rearmEvery = 3000;

/** To begin reading again is what sets Bun's clock anew. Where nobody takes what comes, nothing is read meanwhile. */
function stayOpen(socket: Duplex, handle: Handle): void {
  const clock = setInterval(() => {
    handle.readStop();
    handle.readStart();
    if (socket.isPaused()) handle.readStop();
  }, rearmEvery);
  socket.once("close", () => clearInterval(clock));
}

/** A property that is named by a symbol of Bun's own. */
function member(socket: Duplex, description: string): unknown {
  for (let owner: object | null = socket; owner; owner = Object.getPrototypeOf(owner) as object | null) {
    const symbol = Object.getOwnPropertySymbols(owner).find((one) => one.description === description);
    if (symbol) return Reflect.get(socket, symbol);
  }
  return undefined;
}
