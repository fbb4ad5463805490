import type { Execs } from "../containers/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { HijackedSocket, HttpRequest, Reply, Route } from "../http/mod.ts";
import { decodeExecCreate, decodeExecStart } from "../wire/mod.ts";
import { terminalSize } from "./container-streams.ts";
import { empty, json, param, refOf } from "./reply.ts";
import { streamType } from "./version.ts";

export function execRoutes(execs: Execs): Route[] {
  return [
    { method: "POST", path: "/containers/{id*}/exec", handle: (request) => create(execs, request) },
    { method: "POST", path: "/exec/{id}/start", handle: (request) => start(execs, request) },
    {
      method: "POST",
      path: "/exec/{id}/resize",
      handle: async (request) => {
        await execs.resizeExec(param(request, "id"), terminalSize(request.query));
        return empty(200);
      },
    },
    { method: "GET", path: "/exec/{id}/json", handle: (request) => json(execs.inspectExec(param(request, "id"))) },
  ];
}

async function create(execs: Execs, request: HttpRequest): Promise<Reply> {
  const body = decodeExecCreate(await request.json());
  if (body.Cmd.length === 0) throw new EngineError("invalid", "No exec command specified");
  return json(await execs.createExec(refOf(request), body), 201);
}

/**
 * What the engine refuses before it asks for the connection is an HTTP error. The connection is handed over when it asks,
 * and is the engine's until `startExec` returns.
 */
async function start(execs: Execs, request: HttpRequest): Promise<Reply> {
  const id = param(request, "id");
  const body = decodeExecStart(await request.json());
  if (body.Detach) {
    await execs.startExec(id, body);
    return empty(200);
  }
  const asked = Promise.withResolvers<"raw" | "multiplexed">();
  const connection = Promise.withResolvers<HijackedSocket>();
  connection.promise.catch(() => undefined);
  request.signal.addEventListener("abort", () => connection.reject(request.signal.reason), { once: true });
  const done = execs.startExec(id, body, (kind) => {
    asked.resolve(kind);
    return connection.promise;
  });
  done.catch(() => undefined); // told by the race, or by `run`
  const kind = await Promise.race([asked.promise, done]);
  return kind === undefined ? empty(200) : hijack(streamType(kind, request.apiVersion), { connection, done });
}

interface Handover {
  readonly connection: PromiseWithResolvers<HijackedSocket>;
  readonly done: Promise<void>;
}

function hijack(type: string, { connection, done }: Handover): Reply {
  const run = (socket: HijackedSocket) => {
    connection.resolve(socket);
    return done;
  };
  return { kind: "hijack", type, run };
}
