import type { ProgressMessage } from "../wire/mod.ts";

/** A connection to an engine's HTTP API. Every failure is an EngineError; a refusal reads `Error response from daemon: …` with the engine's own message. */
export interface Client {
  /** Where it connects to, as `unix:///path` or `tcp://host:port`. */
  readonly host: string;
  /** A JSON answer. Throws the engine's error for a status of 400 and above, "unavailable" when nobody listens. */
  json<T>(request: ClientRequest): Promise<T>;
  /** The same without an answer to read; gives the status, since 304 and 204 differ. */
  status(request: ClientRequest): Promise<number>;
  /** The body as it arrives. */
  stream(request: ClientRequest): Promise<ClientStream>;
  /** JSON lines (progress, events) as they arrive. */
  lines<T = ProgressMessage>(request: ClientRequest): AsyncIterable<T>;
  /** A connection that became a raw byte stream (attach, exec). */
  hijack(request: ClientRequest): Promise<HijackedStream>;
}

export interface ClientRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  /** Path without version prefix; its parts already percent-encoded. */
  readonly path: string;
  /** undefined values and empty arrays are left out; arrays repeat the key; booleans become 1 and 0. */
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, chunked. */
  readonly bytes?: AsyncIterable<Uint8Array> | Uint8Array;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the connection is to become, for `hijack`; default "tcp". */
  readonly upgrade?: string;
  readonly signal?: AbortSignal;
}

export interface ClientStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly bytes: AsyncIterable<Uint8Array>;
}

export interface HijackedStream {
  /** `application/vnd.docker.multiplexed-stream` or `…raw-stream`. */
  readonly contentType: string;
  /** What the process writes, until its end; also when input can no longer be sent. To be read once, and promptly. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Input for the process. True when it has been taken; false when nobody takes any more. */
  write(bytes: Uint8Array): Promise<boolean>;
  /** EOF to the process; output still arrives. */
  end(): void;
  /** Leaves, whatever is still on its way. */
  close(): void;
}
