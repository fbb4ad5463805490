import type { CommitOptions, Files } from "../containers/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import { decodeContainerConfig, queryFlag, queryText, requiredText } from "../wire/mod.ts";
import { json } from "./reply.ts";

export function commitRoutes(files: Files): Route[] {
  return [{ method: "POST", path: "/commit", handle: (request) => commit(files, request) }];
}

async function commit(files: Files, request: HttpRequest): Promise<Reply> {
  refuseConfig(await request.json());
  const ref = requiredText(request.query, "container").replace(/^\/+/, "");
  return json(await files.commit(ref, commitOptions(request.query)), 201);
}

/** Clients send `null`, `{}` or their own options again; a configuration with something in it is another matter. */
function refuseConfig(body: unknown): void {
  if (body === undefined || body === null) return;
  const nothing = JSON.stringify(decodeContainerConfig({}));
  if (JSON.stringify(decodeContainerConfig(body)) === nothing) return;
  const text = "commit with a configuration in the body is not implemented by Berth yet; use changes";
  throw new EngineError("not-implemented", text);
}

function commitOptions(query: URLSearchParams): CommitOptions {
  const text = <K extends string>(name: K) => {
    const value = queryText(query, name);
    return (value === undefined ? {} : { [name]: value }) as { [P in K]?: string };
  };
  return {
    ...text("repo"),
    ...text("tag"),
    ...text("comment"),
    ...text("author"),
    pause: query.get("pause") === "" || queryFlag(query, "pause", true),
    changes: query.getAll("changes").filter((change) => change !== ""),
  };
}
