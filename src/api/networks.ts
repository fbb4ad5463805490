import type { Memberships } from "../containers/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import type { Networks } from "../network/mod.ts";
import { decodeFilters, decodeNetworkConnect, decodeNetworkCreate, decodeNetworkDisconnect } from "../wire/mod.ts";
import { empty, json, param } from "./reply.ts";

type NetworkService = Pick<Networks, "create" | "get" | "list" | "prune" | "remove">;

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
      handle: async ({ query }) => json({ NetworksDeleted: await networks.prune(decodeFilters(query)) }),
    },
  ];
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
