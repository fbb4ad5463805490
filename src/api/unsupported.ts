import { EngineError, type ErrorKind } from "../errors/mod.ts";
import type { HttpRequest, Method, Route } from "../http/mod.ts";
import { json, param } from "./reply.ts";

const noSwarm =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

const noClusterVolumes = "volume update only valid for cluster volumes, but swarm is unavailable";

/** What dockerd answers, too, on a node without a swarm. Generic clean-up code calls these and must not stumble. */
const swarm = [
  "GET /swarm",
  "POST /swarm/leave",
  "POST /swarm/update",
  "GET /swarm/unlockkey",
  "POST /swarm/unlock",
  "GET /nodes",
  "GET /nodes/{id}",
  "DELETE /nodes/{id}",
  "POST /nodes/{id}/update",
  "GET /services",
  "POST /services/create",
  "GET /services/{id}",
  "DELETE /services/{id}",
  "POST /services/{id}/update",
  "GET /services/{id}/logs",
  "GET /tasks",
  "GET /tasks/{id}",
  "GET /tasks/{id}/logs",
  "GET /secrets",
  "POST /secrets/create",
  "GET /secrets/{id}",
  "DELETE /secrets/{id}",
  "POST /secrets/{id}/update",
  "GET /configs",
  "POST /configs/create",
  "GET /configs/{id}",
  "DELETE /configs/{id}",
  "POST /configs/{id}/update",
] as const;

/** Parts of the API that are not there, and how a refusal names them. */
const missing: Readonly<Record<string, string>> = {
  "POST /auth": "checking credentials (docker login)",
  "GET /images/search": "searching a registry",
  "POST /swarm/init": "swarm mode",
  "POST /swarm/join": "swarm mode",
  "GET /plugins/privileges": "installing plugins",
  "POST /plugins/pull": "installing plugins",
  "POST /plugins/create": "making plugins",
  "DELETE /plugins/{name*}": "removing plugins",
  "POST /plugins/{name*}/enable": "enabling plugins",
  "POST /plugins/{name*}/disable": "disabling plugins",
  "POST /plugins/{name*}/upgrade": "upgrading plugins",
  "POST /plugins/{name*}/push": "pushing plugins",
  "POST /plugins/{name*}/set": "configuring plugins",
};

/** Every endpoint of the API that nothing is behind: one table, each answer naming what it refuses. */
export function unsupportedRoutes(): Route[] {
  return [
    ...swarm.map((endpoint) => refusal(endpoint, { kind: "unavailable", message: noSwarm })),
    ...Object.entries(missing).map(([endpoint, what]) =>
      refusal(endpoint, { kind: "not-implemented", message: `${what} is not implemented by Berth yet` }),
    ),
    refusal("PUT /volumes/{name}", { kind: "unavailable", message: noClusterVolumes }),
    { method: "GET", path: "/plugins", handle: () => json([]) },
    { method: "GET", path: "/plugins/{name*}/json", handle: noPlugin },
  ];
}

/** There are none, as the list says. `docker inspect NAME` asks here, too, and goes by the status. */
function noPlugin(request: HttpRequest): never {
  throw new EngineError("not-found", `plugin ${JSON.stringify(param(request, "name"))} not found`);
}

function refusal(endpoint: string, { kind, message }: { kind: ErrorKind; message: string }): Route {
  const [method, path] = endpoint.split(" ") as [Method, `/${string}`];
  return {
    method,
    path,
    handle: () => {
      throw new EngineError(kind, message);
    },
  };
}
