/** The repositories of a git server behind HTTP, for those alone who have the header. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface PrivateGit extends AsyncDisposable {
  /** Of all repositories, without a slash behind. */
  readonly url: string;
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** What is let in. */
  authorization: string;
  /** The headers that were not. */
  readonly refused: (string | undefined)[];
}

export async function servePrivateGit(directory: string): Promise<PrivateGit> {
  const refused: (string | undefined)[] = [];
  const state = { authorization: "", refused };
  const server = createServer((request, response) => {
    if (request.headers.authorization === state.authorization) return void answer(directory, request, response);
    refused.push(request.headers.authorization);
    response.writeHead(401, { "WWW-Authenticate": "Basic realm=git" }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return Object.assign(state, { url: `http://${host}`, host, [Symbol.asyncDispose]: close });
}

/** git's own CGI program. */
async function answer(directory: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://x");
  const child = spawn("git", ["-c", "safe.directory=*", "http-backend"], {
    stdio: ["pipe", "pipe", "ignore"],
    env: {
      PATH: process.env["PATH"],
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers["content-type"],
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"],
      GIT_PROTOCOL: request.headers["git-protocol"] as string | undefined,
    },
  });
  request.pipe(child.stdin);
  const all = await outputOf(child);
  const at = all.indexOf("\r\n\r\n");
  const headers = all
    .subarray(0, at)
    .toString()
    .split("\r\n")
    .map((line) => line.split(": ", 2) as [string, string]);
  const status = headers.find(([name]) => name === "Status")?.[1] ?? "200";
  response.writeHead(Number.parseInt(status, 10), Object.fromEntries(headers)).end(all.subarray(at + 4));
}

async function outputOf(child: ChildProcess): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of child.stdout ?? []) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
