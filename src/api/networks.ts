import type { Memberships } from "../containers/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import type { Networks } from "../network/mod.ts";
import {
  decodeFilters,
  decodeNetworkConnect,
  decodeNetworkCreate,
  decodeNetworkDisconnect,
  type NetworkCreateBody,
  type NetworkInspect,
} from "../wire/mod.ts";
import { empty, json, param } from "./reply.ts";
import { atLeast } from "./version.ts";

type NetworkService = Pick<Networks, "create" | "get" | "list" | "prune" | "remove">;

export function networkRoutes(networks: NetworkService, memberships: Memberships): Route[] {
  return [...showing(networks), ...managing(networks), ...joining(memberships)];
}

function showing(networks: NetworkService): Route[] {
  return [
    {
      method: "GET",
      path: "/networks",
      handle: ({ query, apiVersion }) => json(listed(networks.list(decodeFilters(query)), apiVersion)),
    },
    { method: "GET", path: "/networks/{id}", handle: (request) => json(inScope(request, networks)) },
  ];
}

/** Since 1.28 a list does not say who is in a network. */
function listed(found: readonly NetworkInspect[], version: string): readonly NetworkInspect[] {
  return atLeast(version, "1.28") ? found.map((network) => ({ ...network, Containers: {} })) : found;
}

function inScope(request: HttpRequest, networks: NetworkService): NetworkInspect {
  const name = param(request, "id");
  const network = networks.get(name);
  const scope = request.query.get("scope");
  if (scope && scope !== network.Scope) throw new EngineError("not-found", `network ${name} not found`);
  return network;
}

/** What an older API does not have counts as not given. */
function ofVersion(body: NetworkCreateBody, version: string): NetworkCreateBody {
  const { EnableIPv4: _, ...older } = body;
  return atLeast(version, "1.48") ? body : older;
}

function managing(networks: NetworkService): Route[] {
  return [
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
        const body = ofVersion(decodeNetworkCreate(await request.json()), request.apiVersion);
        const { id, warning } = await networks.create(body);
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
