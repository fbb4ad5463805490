import type { Route } from "../http/mod.ts";
import { blobRoutes } from "./blobs.ts";
import type { RegistryParts } from "./context.ts";
import { listingRoutes } from "./listings.ts";
import { manifestRoutes } from "./manifests.ts";
import { problemOf } from "./problem.ts";
import { uploadRoutes } from "./uploads.ts";

/** The OCI distribution-spec 1.1 as routes. Whatever goes wrong is answered in the specification's shape; serve them unversioned. */
export function registryRoutes(parts: RegistryParts): Route[] {
  const routes = [...listingRoutes(parts), ...uploadRoutes(parts), ...blobRoutes(parts), ...manifestRoutes(parts)];
  return routes.map((route) => ({
    ...route,
    handle: async (request) => {
      try {
        return await route.handle(request);
      } catch (err) {
        parts.log.warn("Registry request failed", { method: request.method, path: route.path, error: err });
        return problemOf(err);
      }
    },
  }));
}
