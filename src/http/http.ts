import type { Duplex } from "node:stream";
import type { Bytes } from "../stream/mod.ts";

/** HTTP as data: a route says what it answers, and one place turns answers into bytes. Handlers never see a socket API, but for hijack. */
export type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface Route {
  readonly method: Method;
  /** `{name}` matches one segment; `{name*}` one or more with their slashes (image names), also in the middle. Not cleaned, not redirected. */
  readonly path: `/${string}`;
  handle(request: HttpRequest): Reply | Promise<Reply>;
}

export interface HttpRequest {
  readonly method: Method;
  /** Decoded path parameters. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** From the path's `/v1.xx` prefix, or the newest when there was none. */
  readonly apiVersion: string;
  readonly body: Bytes;
  /** The whole body as JSON; undefined when it is empty. Throws "invalid" above `limit` bytes (default 4 MiB) or for malformed JSON. */
  json(limit?: number): Promise<unknown>;
  /** Aborts when the client goes away before the reply is complete. */
  readonly signal: AbortSignal;
}

export type Headers = Readonly<Record<string, string>>;

export type Reply =
  | { readonly kind: "json"; readonly status: number; readonly body: unknown; readonly headers?: Headers }
  /** Headers leave at once, before the first byte of `bytes` (wait, events, logs -f block after them). */
  | {
      readonly kind: "stream";
      readonly status: number;
      readonly type: string;
      readonly bytes: Bytes;
      readonly headers?: Headers;
    }
  /** 101 with `Upgrade: tcp` (or another protocol) where the client asked for one, else 200; then `run` owns the connection until it returns. */
  | (Takeover & { readonly kind: "hijack"; readonly type: string; readonly protocol?: string })
  /** The same over a WebSocket (RFC 6455), each write a message of this kind. A request that does not ask for one is "invalid". */
  | (Takeover & { readonly kind: "websocket"; readonly messages: "binary" | "text" })
  /** A whole file or a range of it (`end` is its last byte); the fastest path the server has. `status` 200 or 206, which gets its `Content-Range`. */
  | {
      readonly kind: "file";
      readonly status: number;
      readonly path: string;
      readonly type: string;
      readonly range?: { readonly start: number; readonly end: number };
      readonly headers?: Headers;
    }
  | {
      readonly kind: "text";
      readonly status: number;
      readonly type: string;
      readonly body: string;
      readonly headers?: Headers;
    }
  | { readonly kind: "empty"; readonly status: number; readonly headers?: Headers };

export interface Takeover {
  run(socket: HijackedSocket): Promise<void>;
  /** Called instead of `run` when the connection could not be taken over: the client has left, or wants no WebSocket. */
  abandon?(): void;
}

/** Bytes both ways; `input` ends on the client's half-close while `write` still works. */
export interface HijackedSocket {
  readonly input: Bytes;
  /** Resolves when the client took the bytes (back-pressure); rejects when it is gone. */
  write(bytes: Uint8Array): Promise<void>;
  readonly signal: AbortSignal;
  readonly raw: Duplex;
}

export interface ServeOptions {
  /** `unix:///path`, `tcp://host:port` or `host:port`; port 0 chooses one. */
  readonly listen: string;
  readonly routes: readonly Route[];
  /** Maps whatever a handler threw to an answer. */
  readonly onError: (err: unknown, request: { readonly method: string; readonly path: string }) => Reply;
  /** Headers of every answer. */
  readonly headers?: Headers;
  /** Strips `/v1.xx` from paths when set (the engine API); the registry has none. */
  readonly versioned?: { readonly newest: string };
  /** Called for a path that no route has. */
  readonly onMissing?: (request: { readonly method: string; readonly path: string }) => Reply;
  /** Has the connections that begin with HTTP/2's preface (without TLS, by prior knowledge), which `input` begins with. Without it they get a 400. */
  readonly http2?: (socket: HijackedSocket) => Promise<void>;
  /** Mode and group of a unix socket. */
  readonly socket?: { readonly mode: number; readonly gid?: number };
}

export interface Server extends AsyncDisposable {
  /** The address in the form of `listen`, with the real port. */
  readonly address: string;
}
