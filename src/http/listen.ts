import { chmodSync, chownSync, lstatSync, unlinkSync } from "node:fs";
import type { Server as HttpServer } from "node:http";
import { connect } from "node:net";
import { EngineError } from "../errors/mod.ts";

export type Address =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** `unix:///path`, `tcp://host:port`, `host:port`, `[::1]:port`. Throws "invalid" for anything else. */
export function parseListen(text: string): Address {
  if (text.startsWith("unix://")) {
    const path = text.slice("unix://".length);
    // sun_path of sockaddr_un holds 108 bytes with the zero at its end (unix(7)).
    if (!path.startsWith("/") || Buffer.byteLength(path) > 107) throw bad(text, "a path from / on, at most 107 bytes");
    return { kind: "unix", path };
  }
  const parts = /^(?:tcp:\/\/)?(\[[0-9a-fA-F:.]+\]|[^:/[\]]*):(\d{1,5})\/?$/.exec(text);
  const port = Number(parts?.[2]);
  if (!parts || port > 65535) throw bad(text, "unix:///PATH or tcp://HOST:PORT");
  return { kind: "tcp", host: (parts[1] ?? "").replace(/[[\]]/g, "") || "0.0.0.0", port };
}

function bad(text: string, expected: string): EngineError {
  return new EngineError("invalid", `invalid listen address ${JSON.stringify(text)}: expected ${expected}`);
}

/** Starts listening. A socket file that nobody serves any more is replaced; one that answers is "conflict". */
export async function listen(
  server: HttpServer,
  address: Address,
  socket: { readonly mode: number; readonly gid?: number },
): Promise<string> {
  if (address.kind === "tcp") return listenTcp(server, address);
  await removeStale(address.path);
  // The umask keeps others out between bind and chmod.
  const umask = process.umask(0o177);
  try {
    await listening(server, () => server.listen(address.path));
  } finally {
    process.umask(umask);
  }
  if (socket.gid !== undefined) chownSync(address.path, -1, socket.gid);
  chmodSync(address.path, socket.mode);
  return `unix://${address.path}`;
}

async function listenTcp(server: HttpServer, address: Address & { kind: "tcp" }): Promise<string> {
  await listening(server, () => server.listen(address.port, address.host));
  const bound = server.address();
  const port = typeof bound === "object" && bound ? bound.port : address.port;
  return `tcp://${address.host.includes(":") ? `[${address.host}]` : address.host}:${port}`;
}

function listening(server: HttpServer, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    start();
  });
}

async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return;
  if (!stat.isSocket()) throw new EngineError("conflict", `Cannot listen on ${path}: it exists and is not a socket`);
  if (await answers(path)) throw new EngineError("conflict", `Cannot listen on ${path}: another process serves it`);
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    // Only ECONNREFUSED says that nobody listens; a full backlog (EAGAIN) or a missing right does not.
    probe.once("error", (err: NodeJS.ErrnoException) => resolve(err.code !== "ECONNREFUSED" && err.code !== "ENOENT"));
  });
}
