import { EngineError } from "../errors/mod.ts";
import type { Reference } from "../oci/mod.ts";
import { type ClientContext, firstAnswer } from "./lookup.ts";
import type { RegistryOptions } from "./registry-client.ts";
import type { Session } from "./session.ts";

const pageLimit = 4 * 1024 * 1024;
const maxPages = 1000;

/** See `RegistryClient.tags`. */
export function listTags(context: ClientContext, ref: Reference, options: RegistryOptions): Promise<string[]> {
  return firstAnswer(context, ref, { ...options, ask: (session) => tagsAt(session, ref) });
}

async function tagsAt(session: Session, ref: Reference): Promise<string[]> {
  const tags: string[] = [];
  let path: string | undefined = `/v2/${ref.path}/tags/list`;
  for (let page = 0; path !== undefined && page < maxPages; page++) {
    const response: Response = await session.send({ method: "GET", path });
    tags.push(...(await tagsOf(response)));
    const next = /<([^>]+)>\s*;\s*rel="?next"?/i.exec(response.headers.get("link") ?? "")?.[1];
    path = next && URL.canParse(next, response.url) ? new URL(next, response.url).href : undefined;
  }
  return tags;
}

async function tagsOf(response: Response): Promise<string[]> {
  const text = await response.text();
  const json: unknown = text.length <= pageLimit ? safeJson(text) : undefined;
  const tags = (json as { tags?: unknown } | null | undefined)?.tags ?? [];
  if (json === undefined || !Array.isArray(tags))
    throw new EngineError("invalid", `${response.url}: not a list of tags`);
  return tags.filter((tag): tag is string => typeof tag === "string" && /^\w[\w.-]{0,127}$/.test(tag));
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
