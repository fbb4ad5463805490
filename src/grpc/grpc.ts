import type { DescMessage, DescMethodBiDiStreaming, DescService, MessageShape } from "@bufbuild/protobuf";
import { type Client, type ConnectRouter, createClient, createConnectRouter } from "@connectrpc/connect";
import { createTransport } from "@connectrpc/connect/protocol-grpc";
import { type BatchedCall, callInBatches } from "./batches.ts";
import { type Connection, duplexOf } from "./connection.ts";
import { openSession, requestOver } from "./http2-client.ts";
import { acceptSession } from "./http2-server.ts";

/**
 * gRPC over one connection that is already there: BuildKit's clients turn an HTTP/1.1 connection into HTTP/2 and then take
 * either side of it. Messages, framing and status are Connect's; HTTP/2 is node:http2's, and what lies between is here.
 */
export interface Caller extends Disposable {
  /** Calls the service; every call may fail with a ConnectError. */
  client<S extends DescService>(service: S): Client<S>;
  /** Calls one method; see {@link callInBatches}. */
  batches<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    call: BatchedCall<I>,
  ): AsyncGenerator<MessageShape<O>[]>;
  /** Resolves when the other side has said its first word in HTTP/2, or will not. */
  readonly ready: Promise<void>;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
}

/** Bytes that one message may have: fsutil's pieces have 32 KiB, BuildKit's logs a MiB at most. */
const largestMessage = 16 * 1024 * 1024;
const baseUrl = "http://localhost";

/** Takes the calling side. Disposing closes the connection. */
export function callOver(connection: Connection): Caller {
  const session = openSession(duplexOf(connection));
  const send = requestOver(session);
  const transport = createTransport({
    httpClient: send,
    baseUrl,
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 1024,
    readMaxBytes: largestMessage,
    writeMaxBytes: largestMessage,
  });
  const closed = new Promise<void>((resolve) => session.once("close", resolve));
  const ready = new Promise<void>((resolve) => session.once("remoteSettings", () => resolve()));
  return {
    client: (service) => createClient(service, transport),
    batches: (method, call) => callInBatches(send, method, { ...call, baseUrl, largestMessage }),
    ready: Promise.race([ready, closed]),
    closed,
    [Symbol.dispose]: () => session.destroy(),
  };
}

/** Takes the answering side, with these services. Resolves when the connection is gone; `signal` makes it go. */
export function serveOver(
  connection: Connection,
  { routes, signal }: { readonly routes: (router: ConnectRouter) => void; readonly signal: AbortSignal },
): Promise<void> {
  const limits = { readMaxBytes: largestMessage, writeMaxBytes: largestMessage, acceptCompression: [] };
  const router = createConnectRouter({ grpc: true, grpcWeb: false, connect: false, ...limits });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return acceptSession(duplexOf(connection), { handlers, signal });
}
