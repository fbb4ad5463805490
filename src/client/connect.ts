import { EngineError } from "../errors/mod.ts";
import { type Address, originOf, parseAddress } from "./address.ts";
import type { Client, ClientRequest, ClientStream, HijackedStream } from "./client.ts";
import { cutShort, noAnswer, refusal } from "./failure.ts";
import { hijackConnection } from "./hijack.ts";
import { requestHeaders, requestPath } from "./request.ts";

/** A client for `unix:///path`, `/path`, `tcp://host:port` or `http://host:port`. Connects on first use. Throws "invalid" for other addresses. */
export function connect(host: string): Client {
  return new FetchClient(host, parseAddress(host));
}

/** Over `fetch`, which loads in no time and pulls bodies both ways as fast as the other side takes them (measured on Bun 1.4). */
class FetchClient implements Client {
  readonly host: string;
  readonly #address: Address;

  constructor(host: string, address: Address) {
    this.host = host;
    this.#address = address;
  }

  async json<T>(request: ClientRequest): Promise<T> {
    const text = await this.#text(await this.#send(request));
    try {
      return (text === "" ? undefined : JSON.parse(text)) as T;
    } catch (err) {
      throw new EngineError("internal", `${this.host} answered ${request.path} with what is not JSON`, { cause: err });
    }
  }

  async status(request: ClientRequest): Promise<number> {
    const response = await this.#send(request);
    await this.#text(response);
    return response.status;
  }

  async stream(request: ClientRequest): Promise<ClientStream> {
    const response = await this.#send(request);
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      bytes: this.#bytes(response, request),
    };
  }

  async *lines<T>(request: ClientRequest): AsyncIterable<T> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#bytes(await this.#send(request), request)) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) if (part.trim() !== "") yield JSON.parse(part) as T;
    }
    if (rest.trim() !== "") yield JSON.parse(rest) as T;
  }

  hijack(request: ClientRequest): Promise<HijackedStream> {
    return hijackConnection(request, { host: this.host, address: this.#address });
  }

  async #send(request: ClientRequest): Promise<Response> {
    const response = await this.#fetch(request).catch((err) => {
      throw request.signal?.aborted ? canceled(request.signal) : noAnswer(err, this.host);
    });
    if (response.status >= 400) throw refusal({ status: response.status, text: await this.#text(response) });
    return response;
  }

  #fetch(request: ClientRequest): Promise<Response> {
    const { bytes } = request;
    const body = bytes ?? (request.body === undefined ? undefined : JSON.stringify(request.body));
    const options: BunFetchRequestInit & { readonly timeout: false } = {
      method: request.method,
      headers: requestHeaders(request),
      redirect: "manual",
      decompress: false,
      keepalive: false,
      // A wait or a stream of events may be silent for days.
      timeout: false,
      ...("socketPath" in this.#address && { unix: this.#address.socketPath }),
      ...(body !== undefined && { body: body as BodyInit }),
      ...(request.signal && { signal: request.signal }),
    };
    return fetch(`${originOf(this.#address)}${requestPath(request)}`, options);
  }

  #text(response: Response): Promise<string> {
    return response.text().catch((err) => {
      throw cutShort(err, this.host);
    });
  }

  async *#bytes({ body }: Response, { signal }: ClientRequest): AsyncIterable<Uint8Array> {
    if (!body) return;
    try {
      yield* body;
    } catch (err) {
      throw signal?.aborted ? canceled(signal) : cutShort(err, this.host);
    }
  }
}

function canceled(signal: AbortSignal): EngineError {
  return new EngineError("canceled", "canceled", { cause: signal.reason });
}
