import type { Containers } from "../containers/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { Route } from "../http/mod.ts";
import { decodePortBindings, queryText } from "../wire/mod.ts";
import { empty, json, refOf } from "./reply.ts";

/** Berth's own: ports of a container that is there already (docs/api.md). */
export function portRoutes(containers: Pick<Containers, "publishPorts" | "unpublishPort">): Route[] {
  return [
    {
      method: "POST",
      path: "/containers/{id*}/publish",
      handle: async (request) => {
        const ports = decodePortBindings(await request.json());
        return json(await containers.publishPorts(refOf(request), ports));
      },
    },
    {
      method: "POST",
      path: "/containers/{id*}/unpublish",
      handle: async (request) => {
        await containers.unpublishPort(refOf(request), hostPort(request.query));
        return empty(204);
      },
    },
  ];
}

/** `port=8080` or `port=8080/udp`, and `ip=` for one address of several. */
function hostPort(query: URLSearchParams) {
  const text = queryText(query, "port") ?? "";
  const [, port, protocol = "tcp"] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  if (port === undefined)
    throw new EngineError("invalid", `invalid port ${JSON.stringify(text)}: it must be PORT or PORT/PROTOCOL`);
  const address = queryText(query, "ip");
  return { port, protocol, ...(address !== undefined && { address }) };
}
