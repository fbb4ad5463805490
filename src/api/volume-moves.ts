import type { Containers } from "../containers/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import type { Volumes } from "../volumes/mod.ts";
import { decodeVolumeCreate, decodeVolumeUpdate, queryFlag, queryText } from "../wire/mod.ts";
import { progressReply } from "./progress.ts";
import { empty, json, param, stream } from "./reply.ts";

export interface VolumeMovers {
  readonly volumes: Pick<Volumes, "clone" | "get" | "resize" | "relabel">;
  readonly containers: Pick<Containers, "renameVolume" | "exportVolume" | "importVolume">;
}

/** Berth's own: volumes renamed, exported, imported, cloned, resized and labelled (docs/api.md). */
export function volumeMoveRoutes({ volumes, containers }: VolumeMovers): Route[] {
  return [
    {
      method: "POST",
      path: "/volumes/{name}/rename",
      handle: async (request) => {
        await containers.renameVolume(param(request, "name"), newName(request));
        return empty(204);
      },
    },
    {
      method: "GET",
      path: "/volumes/{name}/export",
      handle: (request) => {
        const options = { signal: request.signal, ...compressionOf(request) };
        return stream("application/x-tar", containers.exportVolume(param(request, "name"), options));
      },
    },
    {
      method: "POST",
      path: "/volumes/{name}/import",
      handle: async (request) => {
        const { body: bytes, signal, query } = request;
        const options = { bytes, signal, force: queryFlag(query, "force") };
        return json(await containers.importVolume(param(request, "name"), options));
      },
    },
    { method: "POST", path: "/volumes/{name}/clone", handle: (request) => clone(volumes, request) },
    { method: "POST", path: "/volumes/{name}/update", handle: (request) => update(volumes, request) },
  ];
}

function newName({ query }: HttpRequest): string {
  const name = queryText(query, "name");
  if (name === undefined) throw new EngineError("invalid", "the new name is missing: ?name=NEW");
  return name;
}

function compressionOf({ query }: HttpRequest): { readonly compression?: "gzip" | "zstd" } {
  const given = queryText(query, "compression");
  if (given === undefined) return {};
  if (given === "gzip" || given === "zstd") return { compression: given };
  throw new EngineError("invalid", `invalid compression ${JSON.stringify(given)}: it must be gzip or zstd`);
}

/** A stream of progress, whose last line has the volume as `aux`. */
async function clone(volumes: VolumeMovers["volumes"], request: HttpRequest): Promise<Reply> {
  const [from, body] = [param(request, "name"), decodeVolumeCreate(await request.json())];
  return await progressReply(request, async (progress) => {
    const onBytes = (current: number) =>
      progress({ id: body.Name || from, status: "Copying", progressDetail: { current } });
    progress({ aux: await volumes.clone(from, body, { signal: request.signal, onBytes }) });
  });
}

/** The size first: it may be refused. */
async function update(volumes: VolumeMovers["volumes"], request: HttpRequest): Promise<Reply> {
  const [name, { Size, Labels }] = [param(request, "name"), decodeVolumeUpdate(await request.json())];
  if (Size !== undefined) await volumes.resize(name, Size);
  return json(Object.keys(Labels).length > 0 ? volumes.relabel(name, Labels) : volumes.get(name));
}
