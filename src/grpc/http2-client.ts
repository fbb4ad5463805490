import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import type { Duplex } from "node:stream";
import type { UniversalClientFn, UniversalClientRequest } from "@connectrpc/connect/protocol";
import { EngineError } from "../errors/mod.ts";
import { Input } from "../http/mod.ts";
import { headersOf, plainHeaders, pump, window } from "./http2.ts";

export function openSession(duplex: Duplex): ClientHttp2Session {
  const session = connect("http://localhost", {
    createConnection: () => duplex,
    settings: { initialWindowSize: window },
  });
  session.on("error", () => undefined); // each call is told by its own stream
  duplex.on("error", () => undefined);
  // Half a connection is of no use to HTTP/2, and Bun's session does not see that it ended.
  for (const event of ["end", "close"]) duplex.once(event, () => session.destroy());
  return session;
}

/** Calls over the session. Listening starts with the request: what came before a stream closed can still be read. */
export function requestOver(session: ClientHttp2Session): UniversalClientFn {
  return async (request) => {
    request.signal?.throwIfAborted();
    if (session.destroyed || session.closed) throw gone();
    const stream = session.request(headOf(request));
    const input = new Input(stream).preceded(new Uint8Array());
    const trailer = new Headers();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    stream.once("trailers", (headers: IncomingHttpHeaders) => {
      copy(headers, trailer);
      end();
    });
    stream.once("close", end);
    stream.on("error", () => undefined);
    const abort = () => stream.close(constants.NGHTTP2_CANCEL);
    request.signal?.addEventListener("abort", abort, { once: true });
    stream.once("close", () => request.signal?.removeEventListener("abort", abort));
    const answer = responseOf(stream);
    const sent = pump(request.body, stream);
    const { header, status } = await answer.catch((err: Error) => blame(sent, err));
    return { status, header, body: completed(input, { ended, sent }), trailer };
  };
}

interface Ending {
  /** The trailers are there, or none will come. */
  readonly ended: Promise<void>;
  /** See {@link pump}. */
  readonly sent: Promise<unknown>;
}

/**
 * Bytes whose end is told once the trailers are there, in which gRPC has the status: Bun may end a stream before it, and ends
 * without an error one that was destroyed.
 */
async function* completed(input: Input, { ended, sent }: Ending): AsyncGenerator<Uint8Array> {
  try {
    yield* input;
  } catch (err) {
    await blame(sent, err as Error);
  }
  await ended;
  await blame(sent, undefined);
}

/** Throws what the request's body failed with, when that is why the call ended, or else the given error, if there is one. */
async function blame(sent: Promise<unknown>, err: Error): Promise<never>;
async function blame(sent: Promise<unknown>, err: undefined): Promise<void>;
async function blame(sent: Promise<unknown>, err: unknown): Promise<void> {
  const failure = (await Promise.race([sent, Promise.resolve(undefined)])) ?? err;
  if (failure !== undefined) throw failure;
}

function headOf({ url, method, header }: UniversalClientRequest): Record<string, string | string[]> {
  const { pathname } = new URL(url);
  return {
    ...plainHeaders(header),
    [constants.HTTP2_HEADER_METHOD]: method,
    [constants.HTTP2_HEADER_PATH]: pathname,
    [constants.HTTP2_HEADER_SCHEME]: "http",
    [constants.HTTP2_HEADER_AUTHORITY]: "localhost",
    te: "trailers",
  };
}

function responseOf(stream: ClientHttp2Stream): Promise<{ header: Headers; status: number }> {
  return new Promise((resolve, reject) => {
    stream.once("response", (headers) => resolve({ header: headersOf(headers), status: Number(headers[":status"]) }));
    stream.once("error", reject);
    stream.once("close", () => reject(gone()));
  });
}

function copy(from: IncomingHttpHeaders, to: Headers): void {
  for (const [name, value] of headersOf(from)) to.append(name, value);
}

function gone(): EngineError {
  return new EngineError("canceled", "The client's session is gone");
}
