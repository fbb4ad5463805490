import type { Containers } from "../containers/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import { type ContainerStats, queryFlag } from "../wire/mod.ts";
import { json, jsonLine, refOf } from "./reply.ts";

export function statsRoutes(containers: Pick<Containers, "stats" | "followStats">): Route[] {
  return [{ method: "GET", path: "/containers/{id*}/stats", handle: (request) => stats(containers, request) }];
}

async function stats(containers: Pick<Containers, "stats" | "followStats">, request: HttpRequest): Promise<Reply> {
  const { query, signal } = request;
  const [follow, oneShot] = [queryFlag(query, "stream", true), queryFlag(query, "one-shot")];
  if (follow && oneShot) throw new EngineError("invalid", "cannot have stream=true and one-shot=true");
  if (!follow) return json(await containers.stats(refOf(request), { compared: !oneShot, signal }));
  const bytes = lines(containers.followStats(refOf(request), signal));
  return { kind: "stream", status: 200, type: "application/json", bytes };
}

async function* lines(followed: AsyncIterable<ContainerStats>): AsyncGenerator<Uint8Array> {
  for await (const one of followed) yield jsonLine(one);
}
