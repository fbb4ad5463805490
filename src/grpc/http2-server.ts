import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { UniversalHandlerFn, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { Input } from "../http/mod.ts";
import { fromBuffer } from "../stream/mod.ts";
import { sendable } from "./details.ts";
import { headersOf, plainHeaders, pump, window } from "./http2.ts";

export interface AcceptOptions {
  /** By path. */
  readonly handlers: ReadonlyMap<string, UniversalHandlerFn>;
  readonly signal: AbortSignal;
}

/** Answers calls until the connection is gone. */
export function acceptSession(duplex: Duplex, { handlers, signal }: AcceptOptions): Promise<void> {
  const server = createServer({ settings: { initialWindowSize: window } });
  server.on(
    "stream",
    (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void answer(stream, { headers, handlers }),
  );
  server.on("sessionError", () => duplex.destroy());
  const closed = new Promise<void>((resolve) => duplex.once("close", resolve));
  const stop = () => duplex.destroy();
  signal.addEventListener("abort", stop, { once: true });
  duplex.on("error", () => undefined);
  duplex.on("end", stop);
  server.emit("connection", duplex);
  return closed.finally(() => signal.removeEventListener("abort", stop));
}

interface Call {
  readonly headers: IncomingHttpHeaders;
  readonly handlers: AcceptOptions["handlers"];
}

async function answer(stream: ServerHttp2Stream, { headers, handlers }: Call): Promise<void> {
  const input = new Input(stream).preceded(new Uint8Array());
  const over = new AbortController();
  stream.once("close", () => over.abort());
  stream.on("error", () => undefined);
  const path = String(headers[":path"]);
  const handler = isGrpc(headers) ? (handlers.get(path) ?? unimplemented) : unsupported;
  try {
    const response = await handler({
      httpVersion: "2.0",
      url: `http://localhost${path}`,
      method: String(headers[":method"]),
      header: headersOf(headers),
      body: input,
      signal: over.signal,
    });
    await send(stream, response);
  } catch {
    stream.destroy();
  }
}

async function send(stream: ServerHttp2Stream, response: UniversalServerResponse): Promise<void> {
  if (stream.destroyed) return;
  const { status, header = new Headers(), body, trailer = new Headers() } = response;
  stream.respond({ ":status": status, ...plainHeaders(header) }, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers(plainHeaders(sendable(trailer))));
  await pump(body, stream);
}

function isGrpc(headers: IncomingHttpHeaders): boolean {
  return String(headers["content-type"]).startsWith("application/grpc");
}

/** gRPC over HTTP/2, "Requests": what is none gets status 415. */
async function unsupported(): Promise<UniversalServerResponse> {
  const header = new Headers({ "content-type": "text/plain" });
  const body = fromBuffer(Buffer.from("Only gRPC is answered over HTTP/2 here; ask with HTTP/1.1\n"));
  return { status: 415, header, body };
}

/** A method that is not here: gRPC's status 12 (UNIMPLEMENTED), which clients take as an older daemon. */
async function unimplemented({ url }: { readonly url: string }): Promise<UniversalServerResponse> {
  const message = encodeURIComponent(`unknown method ${new URL(url).pathname}`);
  const trailer = new Headers({ "grpc-status": "12", "grpc-message": message });
  return { status: 200, header: new Headers({ "content-type": "application/grpc" }), trailer };
}
