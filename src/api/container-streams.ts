import type { AttachOptions, Containers, LogOptions, WaitCondition } from "../containers/mod.ts";
import { EngineError, messageOf } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import { parseInstant, queryFlag, queryInteger, queryText } from "../wire/mod.ts";
import { now } from "./clock.ts";
import { empty, jsonLine, refOf, stream } from "./reply.ts";
import { atLeast, streamType } from "./version.ts";

/** What a container says, and what it is told: attach, logs, wait, resize, export. */
export function containerStreamRoutes(containers: Containers): Route[] {
  return [
    { method: "POST", path: "/containers/{id*}/attach", handle: (request) => attach(containers, request) },
    { method: "GET", path: "/containers/{id*}/attach/ws", handle: (request) => attachWebSocket(containers, request) },
    { method: "GET", path: "/containers/{id*}/logs", handle: (request) => logs(containers, request) },
    { method: "POST", path: "/containers/{id*}/wait", handle: (request) => wait(containers, request) },
    {
      method: "POST",
      path: "/containers/{id*}/resize",
      handle: async (request) => {
        await containers.resize(refOf(request), terminalSize(request.query));
        return empty(200);
      },
    },
    {
      method: "GET",
      path: "/containers/{id*}/export",
      handle: (request) => stream("application/octet-stream", containers.export(refOf(request), request.signal)),
    },
  ];
}

/** `h` and `w`, in characters. Throws "invalid" when one is missing or negative. */
export function terminalSize(query: URLSearchParams): { rows: number; columns: number } {
  const [rows, columns] = [queryInteger(query, "h", -1), queryInteger(query, "w", -1)];
  if (rows >= 0 && columns >= 0 && rows < 65536 && columns < 65536) return { rows, columns };
  throw new EngineError("invalid", "resize needs h and w, from 0 to 65535");
}

async function attach(containers: Containers, request: HttpRequest): Promise<Reply> {
  const session = await containers.attach(refOf(request), attachOptions(request.query));
  const type = streamType(session.kind, request.apiVersion);
  return { kind: "hijack", type, run: (socket) => session.serve(socket), abandon: () => session.leave() };
}

function attachOptions(query: URLSearchParams): AttachOptions {
  const detachKeys = queryText(query, "detachKeys");
  return {
    stdin: queryFlag(query, "stdin"),
    stdout: queryFlag(query, "stdout"),
    stderr: queryFlag(query, "stderr"),
    logs: queryFlag(query, "logs"),
    stream: queryFlag(query, "stream"),
    ...(detachKeys !== undefined && { detachKeys }),
  };
}

/**
 * The streams without frames of their own, as dockerd has it: in text messages before API 1.28, and all of them, whatever was
 * asked for, before 1.42 (moby `wsContainersAttach`).
 */
async function attachWebSocket(containers: Containers, request: HttpRequest): Promise<Reply> {
  const all = atLeast(request.apiVersion, "1.42") ? {} : { stdin: true, stdout: true, stderr: true };
  const options = { ...attachOptions(request.query), ...all, raw: true };
  const session = await containers.attach(refOf(request), options);
  const messages = atLeast(request.apiVersion, "1.28") ? "binary" : "text";
  return { kind: "websocket", messages, run: (socket) => session.serve(socket), abandon: () => session.leave() };
}

async function logs(containers: Containers, request: HttpRequest): Promise<Reply> {
  const { kind, bytes } = await containers.logs(refOf(request), logOptions(request));
  return { kind: "stream", status: 200, type: streamType(kind, request.apiVersion), bytes };
}

function logOptions({ query, signal }: HttpRequest): LogOptions {
  const [stdout, stderr] = [queryFlag(query, "stdout"), queryFlag(query, "stderr")];
  if (!stdout && !stderr) throw new EngineError("invalid", "Bad parameters: you must choose at least one stream");
  const instant = (name: string) => parseInstant(query.get(name) || "0", now());
  return {
    stdout,
    stderr,
    follow: queryFlag(query, "follow"),
    timestamps: queryFlag(query, "timestamps"),
    since: instant("since"),
    until: instant("until"),
    details: queryFlag(query, "details"),
    signal,
    ...tail(query.get("tail")),
  };
}

/** "all", nothing and what is no number mean everything (moby `daemon/logs.go`). */
function tail(text: string | null): { tail?: number } {
  return text !== null && /^\d{1,15}$/.test(text) ? { tail: Number(text) } : {};
}

/** The headers must leave while it blocks: the CLI starts the container only once it has them. */
async function wait(containers: Containers, request: HttpRequest): Promise<Reply> {
  const ref = refOf(request);
  const answer = containers.wait(ref, waitCondition(request.query.get("condition")), request.signal);
  answer.catch(() => undefined); // told by the race or by the stream
  await Promise.race([answer, containers.inspect(ref, false)]);
  const bytes = (async function* () {
    yield jsonLine(await answer.catch((err) => ({ StatusCode: 125, Error: { Message: messageOf(err) } })));
  })();
  return { kind: "stream", status: 200, type: "application/json", bytes };
}

function waitCondition(text: string | null): WaitCondition {
  if (!text) return "not-running";
  if (text === "not-running" || text === "next-exit" || text === "removed") return text;
  const port = /^port:(\d{1,5})$/.exec(text)?.[1];
  if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return { port: Number(port) };
  throw new EngineError("invalid", `invalid condition: ${JSON.stringify(text.slice(0, 100))}`);
}
