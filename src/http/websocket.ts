import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { EngineError } from "../errors/mod.ts";
import { type Bytes, closeBody, WebSocketDecoder, webSocketFrame } from "../stream/mod.ts";
import type { Headers, HijackedSocket } from "./http.ts";

/** What every server appends to the key (RFC 6455, section 1.3). */
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const [normal, protocolError] = [1000, 1002];

/** The headers with which a server agrees to a WebSocket. Throws "invalid" for a request that does not ask for one of version 13. */
export function webSocketHeaders({ headers }: IncomingMessage): Headers {
  const key = headers["sec-websocket-key"] ?? "";
  const asked = /(^|,)\s*websocket\s*(,|$)/i.test(headers.upgrade ?? "");
  if (!asked || Buffer.from(key, "base64").length !== 16) throw refused("it asks for no upgrade to one");
  const version = headers["sec-websocket-version"];
  if (version !== "13") throw refused(`its version is ${JSON.stringify(version ?? "")} and not 13`);
  const protocol = headers["sec-websocket-protocol"]?.split(",")[0]?.trim();
  return {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Accept": createHash("sha1").update(`${key}${guid}`).digest("base64"),
    ...(protocol && { "Sec-WebSocket-Protocol": protocol }),
  };
}

function refused(why: string): EngineError {
  return new EngineError("invalid", `Not a WebSocket's request: ${why}`);
}

/**
 * A connection whose bytes go in a WebSocket's messages, both ways: every write is one message of this kind, and the input is
 * what the client's messages hold. Pings are answered. A client that closes is one that leaves.
 */
export function webSocket(socket: HijackedSocket, kind: "binary" | "text"): HijackedSocket & { end(): Promise<void> } {
  const connection = new Connection(socket, kind);
  return {
    input: connection.read(),
    write: (bytes) => connection.write(bytes),
    signal: socket.signal,
    raw: socket.raw,
    end: () => connection.close(normal),
  };
}

class Connection {
  readonly #socket: HijackedSocket;
  readonly #kind: "binary" | "text";
  /** A character that is not complete yet waits for the next message: a text is valid UTF-8 in itself. */
  readonly #text = new TextDecoder();
  #closed = false;

  constructor(socket: HijackedSocket, kind: "binary" | "text") {
    this.#socket = socket;
    this.#kind = kind;
  }

  async *read(): Bytes {
    const decoder = new WebSocketDecoder();
    try {
      for await (const received of this.#socket.input) {
        for (const { kind, bytes } of decoder.feed(received)) {
          if (kind === "data") yield bytes;
          else if (kind === "ping") await this.#send("pong", bytes);
          else if (kind === "close") return await this.#leave();
        }
      }
    } catch (err) {
      await this.close(protocolError).catch(() => undefined); // the client may be gone
      throw err;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#kind === "binary") return this.#send("binary", bytes);
    const text = Buffer.from(this.#text.decode(bytes, { stream: true }));
    if (text.length > 0) await this.#send("text", text);
  }

  async close(code: number): Promise<void> {
    if (this.#closed) return;
    await this.#send("close", closeBody(code));
    this.#closed = true;
  }

  /** The server is the one that ends the connection below (section 7.1.1), whatever the process still has to say. */
  async #leave(): Promise<void> {
    await this.close(normal);
    this.#socket.raw.end();
  }

  #send(kind: "binary" | "text" | "pong" | "close", bytes: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(new EngineError("canceled", "The WebSocket is closed"));
    return this.#socket.write(webSocketFrame(kind, bytes));
  }
}
