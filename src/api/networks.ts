import type { Memberships } from "../containers/mod.ts";
import { EngineError, isKind } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import type { Networks } from "../network/mod.ts";
import {
  decodeFilters,
  decodeNetworkConnect,
  decodeNetworkCreate,
  decodeNetworkDisconnect,
  type Filters,
} from "../wire/mod.ts";
import { empty, json, param } from "./reply.ts";

type NetworkService = Pick<Networks, "create" | "get" | "list" | "remove">;

export function networkRoutes(networks: NetworkService, memberships: Memberships): Route[] {
  return [...managing(networks), ...joining(memberships)];
}

function managing(networks: NetworkService): Route[] {
  return [
    { method: "GET", path: "/networks", handle: ({ query }) => json(networks.list(decodeFilters(query))) },
    { method: "GET", path: "/networks/{id}", handle: (request) => json(networks.get(param(request, "id"))) },
    {
      method: "DELETE",
      path: "/networks/{id}",
      handle: async (request) => {
        await networks.remove(param(request, "id"));
        return empty(204);
      },
    },
    {
      method: "POST",
      path: "/networks/create",
      handle: async (request) => {
        const { id, warning } = await networks.create(decodeNetworkCreate(await request.json()));
        return json({ Id: id, Warning: warning }, 201);
      },
    },
    {
      method: "POST",
      path: "/networks/prune",
      handle: async ({ query }) => json({ NetworksDeleted: await prune(networks, decodeFilters(query)) }),
    },
  ];
}

/** Everything custom that nobody uses. One that came into use meanwhile stays. */
async function prune(networks: NetworkService, filter: Filters): Promise<string[]> {
  for (const key of filter.keys())
    if (key !== "label")
      throw new EngineError("not-implemented", `network prune by ${key} is not implemented by Berth yet`);
  const deleted: string[] = [];
  for (const { Name, Id } of networks.list(new Map([...filter, ["dangling", ["true"]], ["type", ["custom"]]]))) {
    try {
      await networks.remove(Id);
      deleted.push(Name);
    } catch (err) {
      if (!isKind(err, "forbidden") && !isKind(err, "not-found")) throw err;
    }
  }
  return deleted;
}

function joining(memberships: Memberships): Route[] {
  const route = (name: string, run: (network: string, request: HttpRequest) => Promise<void>): Route => ({
    method: "POST",
    path: `/networks/{id}/${name}`,
    handle: async (request): Promise<Reply> => {
      await run(param(request, "id"), request);
      return empty(200);
    },
  });
  return [
    route("connect", async (network, request) =>
      memberships.connect(network, decodeNetworkConnect(await request.json())),
    ),
    route("disconnect", async (network, request) =>
      memberships.disconnect(network, decodeNetworkDisconnect(await request.json())),
    ),
  ];
}
