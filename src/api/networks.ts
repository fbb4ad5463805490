import { EngineError, isKind } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import type { Networks } from "../network/mod.ts";
import {
  decodeFilters,
  decodeNetworkConnect,
  decodeNetworkCreate,
  decodeNetworkDisconnect,
  type Filters,
  type NetworkConnectBody,
  type NetworkDisconnectBody,
} from "../wire/mod.ts";
import { empty, json, param } from "./reply.ts";

/** Joining containers and networks after `create`: an ability of its own, since it is the container's engine that has it. */
export interface Memberships {
  connect(network: string, body: NetworkConnectBody): Promise<void>;
  disconnect(network: string, body: NetworkDisconnectBody): Promise<void>;
}

type NetworkService = Pick<Networks, "create" | "get" | "list" | "remove">;

export function networkRoutes(networks: NetworkService, memberships?: Memberships): Route[] {
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

function joining(memberships: Memberships | undefined): Route[] {
  const able = (): Memberships => {
    if (memberships) return memberships;
    throw new EngineError("not-implemented", "connecting existing containers is not implemented by Berth yet");
  };
  const route = (name: string, run: (network: string, request: HttpRequest) => Promise<void>): Route => ({
    method: "POST",
    path: `/networks/{id}/${name}`,
    handle: async (request): Promise<Reply> => {
      await run(param(request, "id"), request);
      return empty(200);
    },
  });
  return [
    route("connect", async (network, request) => able().connect(network, decodeNetworkConnect(await request.json()))),
    route("disconnect", async (network, request) =>
      able().disconnect(network, decodeNetworkDisconnect(await request.json())),
    ),
  ];
}
