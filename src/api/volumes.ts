import type { Route } from "../http/mod.ts";
import type { Volumes } from "../volumes/mod.ts";
import { decodeFilters, decodeVolumeCreate, type Filters, queryFlag } from "../wire/mod.ts";
import { empty, json, param } from "./reply.ts";
import { atLeast } from "./version.ts";

export function volumeRoutes(volumes: Pick<Volumes, "create" | "get" | "list" | "remove" | "prune">): Route[] {
  return [
    {
      method: "GET",
      path: "/volumes",
      handle: ({ query }) => json({ Volumes: volumes.list(decodeFilters(query)), Warnings: [] }),
    },
    {
      method: "POST",
      path: "/volumes/create",
      handle: async (request) => json(await volumes.create(decodeVolumeCreate(await request.json())), 201),
    },
    { method: "GET", path: "/volumes/{name}", handle: (request) => json(volumes.get(param(request, "name"))) },
    {
      method: "DELETE",
      path: "/volumes/{name}",
      handle: async (request) => {
        await volumes.remove(param(request, "name"), queryFlag(request.query, "force"));
        return empty(204);
      },
    },
    {
      method: "POST",
      path: "/volumes/prune",
      handle: async ({ query, apiVersion }) => {
        const { deleted, reclaimed } = await volumes.prune(pruneFilters(decodeFilters(query), apiVersion));
        return json({ VolumesDeleted: deleted, SpaceReclaimed: reclaimed });
      },
    },
  ];
}

/** Until API 1.41 pruning took volumes with names, too, and there was no filter `all`. */
function pruneFilters(filters: Filters, version: string): Filters {
  return atLeast(version, "1.42") ? filters : new Map([...filters, ["all", ["true"]]]);
}
