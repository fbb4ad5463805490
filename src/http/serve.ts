import { createServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { after } from "../async/mod.ts";
import { type Channel, connectionChannel, responseChannel, watch, writeTo } from "./channel.ts";
import { takeOver, takesOver } from "./hijack.ts";
import type { HijackedSocket, Reply, ServeOptions, Server } from "./http.ts";
import { Input } from "./input.ts";
import { listen, parseListen } from "./listen.ts";
import { takeHttp2 } from "./preface.ts";
import { sendReply } from "./reply.ts";
import { requestOf, type Target, targetOf } from "./request.ts";
import { createRouter, type Router } from "./router.ts";

/** What a refused upload may still send before its connection is cut, so that the client gets to read the refusal. */
const drainLimit = 32 * 1024 * 1024;
/** Milliseconds that answers under way get when the server stops. */
const grace = 2000;

/**
 * Serves routes on a socket until it is disposed. Disposal stops listening, aborts streams and hijacked connections, lets
 * answers that are being made end (two seconds), then closes what is left.
 * Throws "invalid" for a bad address, "conflict" for a unix socket that another process serves; EADDRINUSE as it comes.
 */
export async function serve(options: ServeOptions): Promise<Server> {
  const address = parseListen(options.listen);
  const service = new Service(options);
  // No limit on how long a body may take (a 20 GB load) or a connection may idle (Go clients keep theirs); only heads are bounded.
  const server = createServer({ requestTimeout: 0, headersTimeout: 60_000, keepAliveTimeout: 0 });
  server.timeout = 0;
  const used = new WeakSet<Duplex>();
  server.on("request", (message, response) => {
    used.add(message.socket);
    const body = new Input(message, { gather: true });
    const parts = { message, socket: message.socket, body, input: body, channel: responseChannel(message, response) };
    void service.answer(parts);
  });
  server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    const channel = connectionChannel(message, socket);
    void service.answer({
      message,
      socket,
      body: new Input(message),
      input: new Input(socket).preceded(head),
      channel,
    });
  });
  server.on("clientError", (err, socket) => {
    const begun = options.http2 && !used.has(socket) ? takeHttp2(err, socket) : undefined;
    if (options.http2 && begun) void service.handOver(socket, begun, options.http2);
    else refuse(socket);
  });
  const bound = await listen(server, address, options.socket ?? { mode: 0o660 });
  return { address: bound, [Symbol.asyncDispose]: () => close(server, service) };
}

/**
 * One request and its connection. Bun delivers the body of an upgrade request on the message, and what follows it on the
 * socket; only where there is no body does the first part of that come as the event's `head`.
 */
interface Exchange {
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  readonly body: Input;
  readonly input: Input;
  readonly channel: Channel;
}

class Service {
  readonly #options: ServeOptions;
  readonly #router: Router;
  readonly #running = new Map<Pick<Channel, "destroy">, { streaming: boolean; readonly done: Promise<void> }>();

  constructor(options: ServeOptions) {
    this.#options = options;
    this.#router = createRouter(options.routes);
  }

  answer(exchange: Exchange): Promise<void> {
    return this.#track(exchange.channel, false, () => this.#run(exchange));
  }

  /** Gives away a connection of which no request came, with what came instead. */
  handOver(socket: Duplex, begun: Uint8Array, run: (socket: HijackedSocket) => Promise<void>): Promise<void> {
    const { signal } = watch(socket, () => false);
    const input = new Input(socket).preceded(begun);
    const write = (bytes: Uint8Array) => writeTo(socket, bytes, signal);
    const destroy = () => void socket.destroy();
    return this.#track({ destroy }, true, () => run({ input, write, signal, raw: socket }).then(destroy, destroy));
  }

  #track(channel: Pick<Channel, "destroy">, streaming: boolean, run: () => Promise<void>): Promise<void> {
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#running.set(channel, { streaming, done });
    return run().finally(() => {
      this.#running.delete(channel);
      resolve();
    });
  }

  /** Ends what would never end by itself at once, the rest after the grace. */
  async stop(): Promise<void> {
    const running = [...this.#running];
    for (const [channel, state] of running) if (state.streaming) channel.destroy();
    const enough = new AbortController();
    await Promise.race([Promise.all(running.map(([, { done }]) => done)), after(grace, enough.signal)]).finally(() =>
      enough.abort(),
    );
    for (const channel of this.#running.keys()) channel.destroy();
  }

  async #run(exchange: Exchange): Promise<void> {
    const target = targetOf(exchange.message, this.#options.versioned);
    const reply = await this.#reply(exchange, target);
    try {
      await this.#send(exchange, reply).catch((err) => this.#recover(exchange, { err, target }));
      await finishBody(exchange);
    } catch {
      exchange.channel.destroy();
    }
  }

  /** Once the head is out, the only honest sign of failure left is a connection that breaks. */
  async #recover(exchange: Exchange, failure: { err: unknown; target: Target }): Promise<void> {
    const { channel } = exchange;
    if (channel.signal.aborted) return channel.destroy();
    const reply = this.#options.onError(failure.err, failure.target);
    if (channel.started || takesOver(reply)) return channel.destroy();
    await this.#send(exchange, reply);
  }

  async #reply(exchange: Exchange, target: Target): Promise<Reply> {
    const { message, body, channel } = exchange;
    try {
      const match = this.#router(target.method, target.path);
      if (!match) return this.#missing(target);
      return await match.route.handle(requestOf({ message, target, match, body, signal: channel.signal }));
    } catch (err) {
      return this.#options.onError(err, target);
    }
  }

  #missing(target: Target): Reply {
    const { method, path } = target;
    return (
      this.#options.onMissing?.({ method, path }) ?? {
        kind: "text",
        status: 404,
        type: "text/plain",
        body: "not found\n",
      }
    );
  }

  #send(exchange: Exchange, reply: Reply): Promise<void> {
    const { message, socket, input, channel } = exchange;
    const headers = this.#options.headers ?? {};
    const state = this.#running.get(channel);
    if (state) state.streaming = takesOver(reply) || reply.kind === "stream";
    if (!takesOver(reply)) return sendReply(channel, reply, headers);
    return takeOver(reply, { request: message, socket, input, signal: channel.signal, headers });
  }
}

/** A body that nobody wanted must be read before the connection can carry another request. */
async function finishBody({ message, body, channel }: Exchange): Promise<void> {
  if (message.complete || channel.signal.aborted) return;
  if (!(await body.drain(drainLimit))) channel.destroy();
}

function refuse(socket: Duplex): void {
  if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  else socket.destroy();
}

async function close(server: HttpServer, service: Service): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  await service.stop();
  server.closeAllConnections();
  await closed;
}
