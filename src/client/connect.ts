import http from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EngineError, type ErrorKind, messageOf } from "../errors/mod.ts";
import type { Client, ClientRequest, ClientStream, HijackedStream } from "./client.ts";

const newest = "1.51";

/** A client for `unix:///path`, `/path`, `tcp://host:port` or `http://host:port`. Connects on first use. Throws "invalid" for other addresses. */
export function connect(host: string): Client {
  return new HttpClient(host, target(host));
}

type Target = { readonly socketPath: string } | { readonly hostname: string; readonly port: number };

function target(host: string): Target {
  if (host.startsWith("/")) return { socketPath: host };
  const url = URL.parse(host);
  if (url?.protocol === "unix:") return { socketPath: decodeURIComponent(url.pathname) };
  if (url && (url.protocol === "tcp:" || url.protocol === "http:") && url.hostname) {
    return { hostname: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 2375) };
  }
  throw new EngineError(
    "invalid",
    `unable to parse engine host ${JSON.stringify(host)}: unix:///PATH or tcp://HOST:PORT is expected`,
  );
}

class HttpClient implements Client {
  readonly host: string;
  readonly #target: Target;

  constructor(host: string, at: Target) {
    this.host = host;
    this.#target = at;
  }

  async json<T>(request: ClientRequest): Promise<T> {
    const response = await this.#send(request);
    const text = await readText(response);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async status(request: ClientRequest): Promise<number> {
    const response = await this.#send(request);
    await readText(response);
    return response.statusCode ?? 0;
  }

  async stream(request: ClientRequest): Promise<ClientStream> {
    const response = await this.#send(request);
    return { status: response.statusCode ?? 0, headers: response.headers, bytes: response };
  }

  async *lines<T>(request: ClientRequest): AsyncIterable<T> {
    const response = await this.#send(request);
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response) {
      const parts = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) if (part.trim() !== "") yield JSON.parse(part) as T;
    }
    if (rest.trim() !== "") yield JSON.parse(rest) as T;
  }

  hijack(request: ClientRequest): Promise<HijackedStream> {
    const { promise, resolve, reject } = Promise.withResolvers<HijackedStream>();
    const sent = this.#open(request, { Connection: "Upgrade", Upgrade: "tcp" });
    sent.on("upgrade", (response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve({ contentType: String(response.headers["content-type"] ?? ""), socket });
    });
    sent.on("response", (response) => failure(response, this.host).then(reject, reject));
    sent.on("error", (err) => reject(unreachable(err, this.host)));
    sent.end(request.body === undefined ? undefined : JSON.stringify(request.body));
    return promise;
  }

  async #send(request: ClientRequest): Promise<http.IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
    const sent = this.#open(request, {});
    sent.on("response", resolve);
    sent.on("error", (err) => reject(request.signal?.aborted ? request.signal.reason : unreachable(err, this.host)));
    if (request.bytes && !(request.bytes instanceof Uint8Array)) {
      // An engine that refuses a body early answers and closes: its answer counts, not the broken pipe.
      pipeline(Readable.from(request.bytes), sent).catch((err) => sent.destroy(err));
    } else sent.end(request.bytes ?? (request.body === undefined ? undefined : JSON.stringify(request.body)));
    const response = await promise;
    if ((response.statusCode ?? 0) >= 400) throw await failure(response, this.host);
    return response;
  }

  #open(request: ClientRequest, extra: Record<string, string>): http.ClientRequest {
    const type = request.contentType ?? (request.body === undefined ? undefined : "application/json");
    return http.request({
      ...this.#target,
      method: request.method,
      path: `/v${newest}${request.path}${queryText(request.query)}`,
      headers: { Host: "berth", ...(type && { "Content-Type": type }), ...request.headers, ...extra },
      agent: false,
      ...(request.signal && { signal: request.signal }),
    });
  }
}

function queryText(query: ClientRequest["query"] = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    const values = Array.isArray(value) ? value : [value];
    for (const one of values) {
      if (one !== undefined) params.append(key, typeof one === "boolean" ? (one ? "1" : "0") : String(one));
    }
  }
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

async function readText(response: http.IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString();
}

const kinds: Readonly<Record<number, ErrorKind>> = {
  400: "invalid",
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  409: "conflict",
  501: "not-implemented",
  503: "unavailable",
};

async function failure(response: http.IncomingMessage, host: string): Promise<EngineError> {
  const status = response.statusCode ?? 0;
  const text = await readText(response);
  return new EngineError(
    kinds[status] ?? "internal",
    messageIn(text) ?? `${host} answered ${status}: ${text.slice(0, 200)}`,
  );
}

function messageIn(text: string): string | undefined {
  try {
    const body = JSON.parse(text) as { message?: unknown };
    return typeof body.message === "string" ? body.message : undefined;
  } catch {
    return undefined;
  }
}

function unreachable(err: Error, host: string): EngineError {
  const message = `Cannot connect to the Berth daemon at ${host}. Is the daemon running? (start it with: berth daemon) ${messageOf(err)}`;
  return new EngineError("unavailable", message, { cause: err });
}
