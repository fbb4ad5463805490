import type { ContentStore } from "../content/mod.ts";
import type { Collector, Leases } from "../gc/mod.ts";
import type { HttpRequest, Method, Reply, Route } from "../http/mod.ts";
import type { Log } from "../log/mod.ts";
import { isRepository } from "./names.ts";
import { problem } from "./problem.ts";
import type { TagStore } from "./registry-server.ts";

/** What the registry's handlers work with. */
export interface RegistryParts {
  readonly content: ContentStore;
  readonly tags: TagStore;
  /** Keeps a blob between its commit and its row. */
  readonly leases: Leases;
  /** Run after deletions. */
  readonly collector: Pick<Collector, "collect">;
  readonly log: Log;
  /** Aborts when the registry stops: uploads under way are given up. */
  readonly signal: AbortSignal;
}

export type RepositoryHandler = (repository: string, request: HttpRequest) => Reply | Promise<Reply>;

/** A route below `/v2/NAME/`: the name is checked before the handler sees it. */
export function repositoryRoute(method: Method, path: string, handle: RepositoryHandler): Route {
  return {
    method,
    path: `/v2/{name*}/${path}`,
    handle: (request) => {
      const name = request.params["name"] ?? "";
      if (!isRepository(name)) return problem("NAME_INVALID", "invalid repository name", { name: name.slice(0, 300) });
      return handle(name, request);
    },
  };
}

/** Frees what a deletion left without an owner, after the answer. */
export function collectSoon({ collector, log }: RegistryParts): void {
  collector.collect().catch((err: unknown) => log.warn("Collecting garbage after a deletion failed", { error: err }));
}

export function header(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : value?.[0];
}
