import { EngineError } from "../errors/mod.ts";
import type { Headers, HttpRequest, Reply, Route } from "../http/mod.ts";
import type { DiskUsage, DiskUsageType, DoctorReport } from "../wire/mod.ts";
import { json } from "./reply.ts";
import { type SystemFacts, systemInfo, systemVersion, type VersionFacts } from "./system-info.ts";
import { apiVersion } from "./version.ts";

/** What the daemon knows about itself and the host. */
export interface SystemService {
  /** A client has said hello: it will want something in a moment. Costs next to nothing, and never fails. */
  greeted(): void;
  version(): VersionFacts;
  info(): Promise<SystemFacts>;
  /** Looks at the host; takes some seconds where something does not answer. */
  doctor(): Promise<DoctorReport>;
  /** Only the parts that are asked for. */
  usage(types: ReadonlySet<DiskUsageType>, signal: AbortSignal): Promise<DiskUsage>;
}

/** Headers of every answer; clients negotiate their version by them. */
export function apiHeaders(serverVersion: string): Headers {
  return {
    "Api-Version": apiVersion,
    "Docker-Experimental": "false",
    Ostype: "linux",
    Server: `Berth/${serverVersion} (linux)`,
  };
}

export function systemRoutes(system: SystemService): Route[] {
  return [
    { method: "GET", path: "/_ping", handle: () => ping(system) },
    { method: "HEAD", path: "/_ping", handle: () => ping(system) },
    { method: "GET", path: "/version", handle: () => json(systemVersion(system.version())) },
    { method: "GET", path: "/info", handle: async () => json(systemInfo(await system.info())) },
    { method: "GET", path: "/system/doctor", handle: async () => json(await system.doctor()) },
    {
      method: "GET",
      path: "/system/df",
      handle: async (request) => json(await system.usage(usageTypes(request), request.signal)),
    },
  ];
}

/** `Builder-Version: 1` tells the CLI to use the classic builder. */
function ping(system: SystemService): Reply {
  system.greeted();
  const headers = {
    "Builder-Version": "1",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    Pragma: "no-cache",
    Swarm: "inactive",
  };
  return { kind: "text", status: 200, type: "text/plain; charset=utf-8", body: "OK", headers };
}

const allTypes: readonly DiskUsageType[] = ["container", "image", "volume", "build-cache"];

function usageTypes({ query }: HttpRequest): ReadonlySet<DiskUsageType> {
  const asked = query.getAll("type").filter((type) => type !== "");
  const known = allTypes.filter((type) => asked.length === 0 || asked.includes(type));
  const unknown = asked.find((type) => !allTypes.some((candidate) => candidate === type));
  if (unknown !== undefined) throw new EngineError("invalid", `unknown object type: ${unknown.slice(0, 100)}`);
  return new Set(known);
}
