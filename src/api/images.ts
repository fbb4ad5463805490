import { EngineError } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import type { Images, ImageTransfer, Statement } from "../images/mod.ts";
import { parseReference, type Reference, withDefaultTag } from "../oci/mod.ts";
import { decodeFilters, type Filters, type ImageInspect, queryFlag, queryText, requiredText } from "../wire/mod.ts";
import { transferRoutes } from "./image-transfer.ts";
import { empty, json, param } from "./reply.ts";
import { atLeast } from "./version.ts";

/** `/images` and what is below it. */
export function imageRoutes(services: { images: Images; transfer: ImageTransfer }): Route[] {
  const { images, transfer } = services;
  return [...reading(images), ...changing(images), ...transferRoutes(transfer)];
}

function reading(images: Images): Route[] {
  return [
    { method: "GET", path: "/images/json", handle: (request) => list(images, request) },
    {
      method: "GET",
      path: "/images/{name*}/json",
      handle: async (request) => {
        refuse(request, ["manifests", "platform"]);
        return json(inspected(await images.inspect(param(request, "name")), request.apiVersion));
      },
    },
    {
      method: "GET",
      path: "/images/{name*}/attestations",
      handle: async (request) => statements(await images.attestations(param(request, "name"))),
    },
    {
      method: "GET",
      path: "/images/{name*}/history",
      handle: async (request) => {
        refuse(request, ["platform"]);
        return json(await images.history(param(request, "name")));
      },
    },
  ];
}

/** Berth's own: a list of in-toto statements, as they are pushed. */
function statements(all: readonly Statement[]): Reply {
  const body = Buffer.concat(all.flatMap(({ bytes }, at) => [Buffer.from(at === 0 ? "" : ","), bytes]));
  return { kind: "text", status: 200, type: "application/json", body: `[${body}]\n` };
}

async function list(images: Images, request: HttpRequest): Promise<Reply> {
  const { query, apiVersion } = request;
  refuse(request, ["manifests"]);
  const [all, sharedSize] = [queryFlag(query, "all"), queryFlag(query, "shared-size")];
  const found = await images.list({ filter: listFilter(request), all, sharedSize });
  return json(found.map((image) => withVirtualSize(image, apiVersion)));
}

/** `filter=NAME` was the way to say `reference` until API 1.41. */
function listFilter({ query, apiVersion }: HttpRequest): Filters {
  const filter = decodeFilters(query);
  const name = atLeast(apiVersion, "1.41") ? undefined : queryText(query, "filter");
  return name === undefined ? filter : new Map([...filter, ["reference", [name]]]);
}

/**
 * `ContainerConfig` left the API with 1.45, and dockerd's answers with it; docker-compose 1, which Debian 12 ships, speaks the
 * newest API there is and looks for an image's volumes in it whenever it makes a container anew.
 */
function inspected(image: ImageInspect, version: string) {
  return { ...withVirtualSize(image, version), Container: "", ContainerConfig: image.Config };
}

/** `VirtualSize` is the same as `Size`, and was there until API 1.44. */
function withVirtualSize<T extends { readonly Size: number }>(image: T, version: string): T {
  return atLeast(version, "1.44") ? image : { ...image, VirtualSize: image.Size };
}

function changing(images: Images): Route[] {
  return [
    {
      method: "POST",
      path: "/images/{name*}/tag",
      handle: async (request) => {
        images.tag(images.get(param(request, "name")), targetName(request.query));
        return empty(201);
      },
    },
    {
      method: "DELETE",
      path: "/images/{name*}",
      handle: async (request) => {
        const { query } = request;
        refuse(request, ["platforms"]);
        const options = { force: queryFlag(query, "force"), prune: !queryFlag(query, "noprune") };
        return json(await images.remove(param(request, "name"), options));
      },
    },
    {
      method: "POST",
      path: "/images/prune",
      handle: async ({ query }) => {
        const { deleted, reclaimed } = await images.prune(decodeFilters(query));
        return json({ ImagesDeleted: deleted, SpaceReclaimed: reclaimed });
      },
    },
  ];
}

function targetName(query: URLSearchParams): Reference {
  const repo = parseReference(requiredText(query, "repo"));
  if (repo.digest) throw new EngineError("invalid", "refusing to create a tag with a digest reference");
  const tag = queryText(query, "tag");
  return withDefaultTag(tag === undefined ? repo : parseReference(`${requiredText(query, "repo")}:${tag}`));
}

/** Refuses, by name, options that select among the platforms of an image: there is one of each here. */
export function refuse({ query }: HttpRequest, names: readonly string[]): void {
  const name = names.find((candidate) => queryFlag(query, candidate));
  if (name) throw new EngineError("not-implemented", `the option ${name} is not implemented by Berth yet`);
}
