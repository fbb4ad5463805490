import { isDeepStrictEqual } from "node:util";
import type { Containers, StopOptions } from "../containers/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { HttpRequest, Route } from "../http/mod.ts";
import {
  type ContainerInspect,
  decodeContainerCreate,
  decodeFilters,
  decodeUpdate,
  queryFlag,
  queryInteger,
  queryText,
} from "../wire/mod.ts";
import { archiveRoutes } from "./archive.ts";
import { containerStreamRoutes } from "./container-streams.ts";
import { portRoutes } from "./ports.ts";
import { empty, json, refOf } from "./reply.ts";
import { statsRoutes } from "./stats.ts";
import { atLeast } from "./version.ts";

/** `/containers` and what is below it, but for exec. */
export function containerRoutes(containers: Containers): Route[] {
  return [
    ...lifecycle(containers),
    ...changing(containers),
    ...reading(containers),
    ...containerStreamRoutes(containers),
    ...portRoutes(containers),
    ...statsRoutes(containers),
    ...archiveRoutes(containers),
  ];
}

function lifecycle(containers: Containers): Route[] {
  /** A step that answers 204. */
  const step = (name: string, run: (ref: string, request: HttpRequest) => Promise<void>): Route => ({
    method: "POST",
    path: `/containers/{id*}/${name}`,
    handle: async (request) => {
      await run(refOf(request), request);
      return empty(204);
    },
  });
  return [
    step("start", (ref, request) => start(containers, { ref, request })),
    step("stop", (ref, { query }) => containers.stop(ref, stopOptions(query))),
    step("restart", (ref, { query }) => containers.restart(ref, stopOptions(query))),
    step("kill", (ref, { query }) => containers.kill(ref, query.get("signal") || "SIGKILL")),
    step("pause", (ref) => containers.pause(ref)),
    step("unpause", (ref) => containers.unpause(ref)),
    step("rename", (ref, { query }) => containers.rename(ref, (query.get("name") ?? "").replace(/^\//, ""))),
  ];
}

async function start(containers: Containers, { ref, request }: { ref: string; request: HttpRequest }): Promise<void> {
  // Many clients send `{}`; a HostConfig here ended with API 1.24.
  const body = await request.json();
  if (typeof body === "object" && body !== null && Object.keys(body).length > 0) {
    const text = "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24";
    throw new EngineError("invalid", text);
  }
  if (queryText(request.query, "checkpoint"))
    throw new EngineError("not-implemented", "start from a checkpoint is not implemented by Berth yet");
  await containers.start(ref);
}

function stopOptions(query: URLSearchParams): StopOptions {
  const signal = queryText(query, "signal");
  const timeout = queryInteger(query, "t", undefined);
  return { ...(signal !== undefined && { signal }), ...(timeout !== undefined && { timeout }) };
}

function changing(containers: Containers): Route[] {
  return [
    { method: "POST", path: "/containers/create", handle: (request) => create(containers, request) },
    {
      method: "POST",
      path: "/containers/{id*}/update",
      handle: async (request) => json(await containers.update(refOf(request), decodeUpdate(await request.json()))),
    },
    {
      method: "DELETE",
      path: "/containers/{id*}",
      handle: async (request) => {
        const { query } = request;
        const [force, volumes, link] = [queryFlag(query, "force"), queryFlag(query, "v"), queryFlag(query, "link")];
        await containers.remove(refOf(request), { force, volumes, link });
        return empty(204);
      },
    },
    {
      method: "POST",
      path: "/containers/prune",
      handle: async ({ query }) => json(await containers.prune(decodeFilters(query))),
    },
  ];
}

async function create(containers: Containers, request: HttpRequest) {
  const sent = await request.json();
  if (sent === undefined || sent === null || isDeepStrictEqual(sent, {}))
    throw new EngineError("invalid", "config cannot be empty in order to create a container");
  const name = queryText(request.query, "name")?.replace(/^\//, "");
  const platform = queryText(request.query, "platform");
  const body = decodeContainerCreate(sent);
  return json(await containers.create({ body, ...(name && { name }), ...(platform && { platform }) }), 201);
}

function reading(containers: Containers): Route[] {
  return [
    {
      method: "GET",
      path: "/containers/json",
      handle: async ({ query }) => json(await containers.list(listOptions(query))),
    },
    {
      method: "GET",
      path: "/containers/{id*}/json",
      handle: async (request) => {
        const found = await containers.inspect(refOf(request), queryFlag(request.query, "size"));
        return json(withShortIds(found, request.apiVersion));
      },
    },
    {
      method: "GET",
      path: "/containers/{id*}/top",
      handle: async (request) => json(await containers.top(refOf(request), request.query.get("ps_args") || "-ef")),
    },
    {
      method: "GET",
      path: "/containers/{id*}/changes",
      handle: async (request) => json(await containers.changes(refOf(request))),
    },
  ];
}

/** Until API 1.44 a container's short id is among its aliases; docker-compose 1 reconnects containers without it. */
function withShortIds(container: ContainerInspect, version: string): ContainerInspect {
  if (atLeast(version, "1.45")) return container;
  const { Id, NetworkSettings } = container;
  const Networks = Object.entries(NetworkSettings.Networks).map(([name, settings]) => {
    const own = settings.DNSNames ? { Aliases: [...(settings.Aliases ?? []), Id.slice(0, 12)] } : {};
    return [name, { ...settings, ...own }] as const;
  });
  return { ...container, NetworkSettings: { ...NetworkSettings, Networks: Object.fromEntries(Networks) } };
}

/** `since` and `before` are the old forms of the filters of those names. */
function listOptions(query: URLSearchParams) {
  const filter = new Map(decodeFilters(query));
  for (const name of ["since", "before"]) {
    const value = queryText(query, name);
    if (value !== undefined) filter.set(name, [...(filter.get(name) ?? []), value]);
  }
  const limit = Math.max(0, queryInteger(query, "limit", 0));
  return { all: queryFlag(query, "all"), limit, size: queryFlag(query, "size"), filter };
}
