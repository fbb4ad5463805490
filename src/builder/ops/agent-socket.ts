import { chmod, chown, open } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Owner } from "../../host/mod.ts";
import type { BuildSession } from "../session.ts";

export interface AgentSocket {
  readonly session: BuildSession;
  /** Of the agent, as the client calls it. */
  readonly id: string;
  /** Where the socket is made, under this name. */
  readonly directory: string;
  readonly name: string;
  readonly owner: Owner;
  readonly mode: number;
  readonly signal: AbortSignal;
  /** Ends all connections. */
  readonly undo: AsyncDisposableStack;
}

/** A socket on which programs of this host reach the client's ssh agent. Returns its path. */
export async function agentSocket(socket: AgentSocket): Promise<string> {
  const { session, id, directory, name, owner, undo } = socket;
  const stop = new AbortController();
  undo.defer(() => stop.abort());
  const over = AbortSignal.any([stop.signal, socket.signal]);
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    void forward(connection, session.agent(id, connection, over)).catch(() => connection.destroy());
    over.addEventListener("abort", () => connection.destroy(), { once: true });
  });
  const parent = await open(directory);
  undo.use(parent);
  // By the directory's descriptor: a socket's path has 107 bytes at most (unix(7)), a data root may have more.
  await listening(server, `/proc/self/fd/${parent.fd}/${name}`);
  undo.defer(() => void server.close());
  const path = join(directory, name);
  await chmod(path, socket.mode);
  await chown(path, owner.uid, owner.gid);
  return path;
}

async function forward(socket: Socket, answers: AsyncIterable<Uint8Array>): Promise<void> {
  socket.on("error", () => undefined); // its other half sees that it is gone
  for await (const piece of answers) {
    if (!socket.write(piece)) await new Promise((resolve) => socket.once("drain", resolve).once("close", resolve));
  }
  socket.end();
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => server.once("error", reject).listen(path, resolve));
}
