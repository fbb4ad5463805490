import type { Builder } from "../builder/mod.ts";
import type { Containers } from "../containers/mod.ts";
import type { Events } from "../events/mod.ts";
import type { Route } from "../http/mod.ts";
import type { Images, ImageTransfer } from "../images/mod.ts";
import type { Networks } from "../network/mod.ts";
import type { Volumes } from "../volumes/mod.ts";
import { type BuildKitDoors, type BuildService, buildRoutes } from "./build.ts";
import { commitRoutes } from "./commit.ts";
import { containerRoutes } from "./containers.ts";
import { eventRoutes } from "./events.ts";
import { execRoutes } from "./exec.ts";
import { imageRoutes } from "./images.ts";
import { networkRoutes } from "./networks.ts";
import { type SystemService, systemRoutes } from "./system.ts";
import { unsupportedRoutes } from "./unsupported.ts";
import { guarded } from "./version.ts";
import { volumeMoveRoutes } from "./volume-moves.ts";
import { volumeRoutes } from "./volumes.ts";

/** What the API translates to and from; the daemon has it all. */
export interface ApiServices {
  readonly containers: Containers;
  readonly images: Images;
  readonly transfer: ImageTransfer;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly events: Events;
  readonly builder: Pick<Builder, "prune">;
  readonly build: BuildService;
  readonly buildKit: BuildKitDoors;
  readonly system: SystemService;
}

/**
 * The Docker Engine API 1.51 as routes. Handlers decode, call one service and present what it said; decisions are the
 * services', and what differs between versions of the API is known here only. To be served with `versioned: { newest:
 * apiVersion }`, `onError: apiErrors(log)`, `onMissing: apiMissing` and `headers: apiHeaders(version)`.
 */
export function apiRoutes(services: ApiServices): Route[] {
  const routes = [
    ...systemRoutes(services.system),
    ...eventRoutes(services.events),
    ...containerRoutes(services.containers),
    ...execRoutes(services.containers),
    ...commitRoutes(services.containers),
    ...imageRoutes(services),
    ...buildRoutes(services),
    ...networkRoutes(services.networks, services.containers),
    ...volumeRoutes(services.volumes),
    ...volumeMoveRoutes(services),
    ...unsupportedRoutes(),
  ];
  return routes.map(guarded);
}
