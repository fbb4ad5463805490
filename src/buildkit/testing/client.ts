import { request } from "node:http";
import { connect, type Socket } from "node:net";
import type { Connection, ConnectRouter } from "../../grpc/mod.ts";
import { serveOver } from "../../grpc/mod.ts";

type Headers = Readonly<Record<string, string | string[]>>;

/** `POST path` of the server on a unix socket, which then is a raw connection, as docker's clients make it. */
export function hijacked(socketPath: string, path: string, headers: Headers = {}): Promise<Connection> {
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  const asked = request({
    socketPath,
    path,
    method: "POST",
    headers: { Connection: "Upgrade", Upgrade: "h2c", ...headers },
  });
  asked.on("error", reject);
  asked.on("response", (response) => reject(new Error(`status ${response.statusCode}`)));
  asked.on("upgrade", (response, socket: Socket, head: Buffer) => {
    if (response.headers.upgrade !== "h2c") reject(new Error(`upgrade to ${response.headers.upgrade}`));
    if (head.length > 0) socket.unshift(head);
    resolve(connectionOf(socket));
  });
  asked.end();
  return promise;
}

/** The unix socket as it is, for HTTP/2 from the first byte on, as BuildKit's own clients take it. */
export function direct(socketPath: string): Connection {
  return connectionOf(connect(socketPath));
}

function connectionOf(socket: Socket): Connection {
  socket.on("error", () => undefined);
  return { input: socket, write: (bytes) => written(socket, bytes), close: () => void socket.destroy() };
}

function written(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => socket.write(bytes, (err) => (err ? reject(err) : resolve())));
}

export interface OpenSession extends AsyncDisposable {
  readonly id: string;
}

/** A session with these services, as `docker build` opens it; disposing ends it. */
export async function openSession(
  socketPath: string,
  { methods, routes }: { methods: string[]; routes: (router: ConnectRouter) => void },
): Promise<OpenSession> {
  const id = crypto.randomUUID();
  const connection = await hijacked(socketPath, "/v1.41/session", {
    "X-Docker-Expose-Session-Uuid": id,
    "X-Docker-Expose-Session-Name": "test",
    "X-Docker-Expose-Session-Grpc-Method": methods,
  });
  const stop = new AbortController();
  const served = serveOver(connection, { routes, signal: stop.signal });
  return {
    id,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await served;
    },
  };
}
