import type { CommitOptions, Files } from "../containers/mod.ts";
import type { HttpRequest, Reply, Route } from "../http/mod.ts";
import { type ContainerConfig, decodeContainerConfig, queryFlag, queryText, requiredText } from "../wire/mod.ts";
import { json } from "./reply.ts";

export function commitRoutes(files: Files): Route[] {
  return [{ method: "POST", path: "/commit", handle: (request) => commit(files, request) }];
}

async function commit(files: Files, request: HttpRequest): Promise<Reply> {
  const config = givenConfig(await request.json());
  const ref = requiredText(request.query, "container").replace(/^\/+/, "");
  return json(await files.commit(ref, { ...commitOptions(request.query), ...(config && { config }) }), 201);
}

/** Clients send `null`, `{}` or their own options again, which asks for nothing. */
function givenConfig(body: unknown): ContainerConfig | undefined {
  if (body === undefined || body === null) return undefined;
  const config = decodeContainerConfig(body);
  return JSON.stringify(config) === JSON.stringify(decodeContainerConfig({})) ? undefined : config;
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
